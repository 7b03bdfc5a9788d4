"""Chat processes that tests kill, and the comparison of the records they reported as accepted with the table."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from tests.conftest import SERVERS
from tests.loader.conftest import Log, wait_until
from tests.loader.faults.worker import Plan

ROOT = Path(__file__).parents[3]
# These tests are about failures of processes, disks and networks, which do not depend on the server's version.
ON_NEWEST_SERVER = pytest.mark.parametrize("postgres", SERVERS[-1:], indirect=True, scope="session")


class Worker:
    """One process, and what it has reported so far."""

    def __init__(self, plan: Plan) -> None:
        self.tried: set[UUID] = set()
        self.invalid: set[UUID] = set()
        self.accepted: set[UUID] = set()
        self.stats: dict[str, int] = {}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.loader.faults.worker", msgspec.json.encode(plan).decode()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            start_new_session=True,
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def has_living_descendants(self) -> bool:
        """Whether the process or one that it forked still runs. They share its stdout."""
        return self._listener.is_alive()

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.end()

    def end(self, timeout: float = 150) -> int:
        """Close its stdin, so that it closes its client and exits. Waits for the exit and returns the exit status."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        status = self.process.wait(timeout)
        self._listener.join(timeout)
        assert not self.has_living_descendants
        return status

    def _listen(self) -> None:
        assert self.process.stdout is not None
        reported = {"trying": self.tried, "invalid": self.invalid, "accepted": self.accepted}
        with self.process.stdout as lines:
            for line in lines:
                event, value = line.decode().split(" ", 1)
                if event == "stats":
                    self.stats = json.loads(value)
                else:
                    reported[event].add(UUID(value.strip()))


class Workers:
    """All processes of one test, with one journal directory."""

    def __init__(self, log: Log, journal_dir: Path) -> None:
        self.log = log
        self.journal_dir = journal_dir
        self.all: list[Worker] = []

    def start(
        self, count: int = 1, *, dsn: str | None = None, settings: dict[str, Any] | None = None, **plan: Any
    ) -> list[Worker]:
        """Start processes, and wait until each has an accepted record. `plan` has the other fields of `Plan`."""
        settings = {"max_batch_age": 0.02, "journal_dir": str(self.journal_dir), **(settings or {})}
        whole_plan = Plan(dsn=dsn or self.log.conninfo, user_id=self.log.user_id, settings=settings, **plan)
        started = [Worker(whole_plan) for _ in range(count)]
        self.all += started
        wait_until(lambda: all(worker.accepted for worker in started))
        return started

    def journals(self) -> list[Path]:
        """The journals that hold lines, oldest first."""
        return sorted(path for path in self.journal_dir.glob("journal-*") if size_of(path))

    def recover(self) -> None:
        """Start a process and wait until it has sent the journals of the dead ones."""
        (worker,) = self.start(pause=3600)
        wait_until(lambda: not self.journals())
        assert worker.end() == 0

    def end(self) -> None:
        """End every process that was not killed."""
        for worker in self.all:
            assert worker.end() in {0, -signal.SIGKILL}

    def sum(self, counter: str) -> int:
        """The sum of a counter over every process that closed its client."""
        return sum(worker.stats[counter] for worker in self.all if worker.stats)

    def assert_accepted_is_stored(self) -> int:
        """Every accepted record is stored once. Others that were tried may be stored too. Returns the count of rows."""
        accepted: set[UUID] = set().union(*(worker.accepted for worker in self.all))
        tried: set[UUID] = set().union(*(worker.tried for worker in self.all))
        invalid: set[UUID] = set().union(*(worker.invalid for worker in self.all))
        stored = self.log.stored_ids()
        assert len(stored) == len(set(stored))
        lost = accepted - invalid - set(stored)
        assert not lost, f"{len(lost)} of {len(accepted)} are lost"
        assert set(stored) <= tried
        print(f"{len(stored):,} records accepted and stored, none lost, none duplicated")
        return len(stored)


def size_of(path: Path) -> int:
    """In bytes. 0 if the file was just deleted."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


@pytest.fixture
def workers(log: Log, tmp_path: Path) -> Iterator[Workers]:
    workers = Workers(log, tmp_path / "journal")
    yield workers
    for worker in workers.all:
        worker.kill()
