"""A demo database for the comparison: `chat-telemetry demo` in a directory of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.superset.server import free_port

READER = "telemetry_reader"
HOST, DATABASE = "127.0.0.1", "chat"


class DemoFailed(Exception):
    """The demo did not fill its database. The message is its last line."""


@dataclass(frozen=True)
class Demo:
    port: int
    password: str

    @property
    def conninfo(self) -> str:
        login = f"host={HOST} port={self.port} dbname={DATABASE} user={READER} password={self.password}"
        return f"{login} options='-c timezone=UTC'"

    @property
    def uri(self) -> str:
        """The URI for Superset, with its sign for a password that is sent beside it."""
        return f"postgresql+psycopg2://{READER}:XXXXXXXXXX@{HOST}:{self.port}/{DATABASE}"


@contextmanager
def filled(directory: Path, requests: int) -> Iterator[Demo]:
    """Fills a demo, and deletes it at the end. Raises DemoFailed."""
    command = [str(Path(sys.executable).with_name("chat-telemetry")), "demo", "--directory", str(directory)]
    port = free_port()
    try:
        finished = subprocess.run(
            [*command, "--port", str(port), "--requests", str(requests)], capture_output=True, text=True, check=False
        )
        if finished.returncode:
            raise DemoFailed((finished.stderr or finished.stdout).strip().rpartition("\n")[2])
        yield Demo(port, password(directory / "pgpass"))
    finally:
        subprocess.run([*command, "--delete"], capture_output=True, check=False)


def password(file: Path) -> str:
    """The reader's, from lines of host, port, database, user and password."""
    lines = (line.split(":", 4) for line in file.read_text(encoding="utf-8").splitlines())
    return next(secret for *_, user, secret in lines if user == READER)
