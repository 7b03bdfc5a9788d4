"""The environment of the examples: a database, the server of a model provider, and their environment variables."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from uuid import UUID

import pytest

from tests.conftest import Database
from tests.loader.conftest import wait_until
from tests.providers import running_provider

EXAMPLES = Path(__file__).parents[2] / "examples"
STOP_TIMEOUT_S = 30


@dataclass(frozen=True)
class Examples:
    """A migrated database and a provider. A process finds both by the variables in `environment`."""

    database: Database
    user_id: UUID
    environment: dict[str, str]

    def run(self, *command: str) -> str:
        """Run Python in the directory of the examples, and return its stdout."""
        return subprocess.run(
            [sys.executable, *command],
            cwd=EXAMPLES,
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=200,
        ).stdout

    @contextmanager
    def serving(self, *command: str, directory: Path) -> Iterator[int]:
        """Run a server during the block, from when it listens. `{port}` in its arguments becomes its port."""
        port = free_port()
        with (directory / "server.log").open("w+") as log:
            server = subprocess.Popen(
                [sys.executable, *(word.format(port=port) for word in command)],
                cwd=EXAMPLES,
                env=self.environment,
                stdout=log,
                stderr=log,
            )
            try:
                wait_until(lambda: listens(port) or server.poll() is not None, timeout=200)
                yield port
            finally:
                server.terminate()
                status = server.wait(STOP_TIMEOUT_S)
                log.seek(0)
                assert status in (0, -signal.SIGTERM), log.read()

    def rows(self) -> list[dict[str, object]]:
        with self.database.connect() as connection:
            return [row[0] for row in connection.execute("select to_jsonb(log) from public.chat_telemetry_log as log")]


@pytest.fixture
def examples(database: Database) -> Iterator[Examples]:
    (user_id,) = database.add_users(1)
    with running_provider() as provider:
        environment = {
            **os.environ,
            "CHAT_TELEMETRY_DATABASE_URL": database.conninfo,
            "CHAT_TELEMETRY_EXIT_TIMEOUT": str(STOP_TIMEOUT_S - 10),
            "DATABASE_URL": database.conninfo,
            "OPENAI_BASE_URL": f"{provider}/v1",
            "OPENAI_API_KEY": "none",
        }
        yield Examples(database, user_id, environment)


def ask(port: int, user_id: UUID) -> str:
    """Send a question to the server, and return the response."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        body = f'{{"user_id": "{user_id}", "question": "How many orders?"}}'
        connection.request("POST", "/chat", body, {"content-type": "application/json"})
        response = connection.getresponse()
        assert response.status == 200
        return response.read().decode()
    finally:
        connection.close()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
