"""gunicorn --preload with four workers, some of which are killed while they handle requests."""

from __future__ import annotations

import http.client
import os
import random
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import UUID, uuid4

import pytest

from tests.loader.conftest import wait_until
from tests.loader.faults.conftest import ON_NEWEST_SERVER, ROOT, Workers

pytestmark = ON_NEWEST_SERVER


class Users:
    """Threads that send one request after the other, and the replies that they got."""

    def __init__(self, port: int, count: int) -> None:
        self.tried: set[UUID] = set()
        self.accepted: set[UUID] = set()
        self.pids: set[int] = set()
        self._port = port
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(count)]

    def __enter__(self) -> Users:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def _ask(self) -> None:
        while not self._stop.wait(0.002):
            log_id = uuid4()
            self.tried.add(log_id)
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
            with suppress(OSError, http.client.HTTPException):  # the worker was killed
                connection.request("GET", f"/{log_id}")
                response = connection.getresponse()
                self.pids.add(int(response.read()))
                if response.status == 200:
                    self.accepted.add(log_id)
            connection.close()


@contextmanager
def gunicorn(workers: Workers) -> Iterator[int]:
    """Run gunicorn with the journal directory of these workers, and end it gracefully."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        environment = {
            **os.environ,
            "CHAT_USER_ID": str(workers.log.user_id),
            "CHAT_TELEMETRY_DATABASE_URL": workers.log.conninfo,
            "CHAT_TELEMETRY_JOURNAL_DIR": str(workers.journal_dir),
        }
        bind = ["--preload", "--workers", "4", "--bind", f"fd://{listener.fileno()}", "--log-level", "error"]
        command = [sys.executable, "-m", "gunicorn", *bind, "tests.loader.faults.chat_app:application"]
        process = subprocess.Popen(command, env=environment, cwd=ROOT, pass_fds=[listener.fileno()])
        try:
            yield listener.getsockname()[1]
            process.terminate()
            assert process.wait(30) == 0
        finally:
            process.kill()
            process.wait(10)


@pytest.mark.parametrize("kills", [2, pytest.param(40, marks=pytest.mark.faults)])
def test_preloaded_workers_that_are_killed_lose_no_record(workers: Workers, kills: int) -> None:
    with gunicorn(workers) as port, Users(port, 8) as users:
        wait_until(lambda: len(users.pids) == 4, 60)
        for killed in range(1, kills + 1):
            with suppress(ProcessLookupError):  # it was killed in the round before, after its reply
                os.kill(random.choice(sorted(users.pids)), signal.SIGKILL)
            users.pids.clear()
            wait_until(lambda: len(users.pids) >= 3 and len(users.accepted) > 100 * killed, 60)  # noqa: B023
    workers.recover()
    stored = set(workers.log.stored_ids()) - workers.all[0].accepted
    assert users.accepted - stored == set()
    assert stored - users.tried == {UUID(int=1)}
    print(f"{len(users.accepted):,} records accepted and stored, none lost, none duplicated,", kills, "kills")
