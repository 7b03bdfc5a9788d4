"""Chat processes to be killed, and the comparison of what they were promised with what is in the table."""

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
# What fails here is a process, a disk or a network: it does so alike in front of every version.
ON_NEWEST_SERVER = pytest.mark.parametrize("postgres", SERVERS[-1:], indirect=True, scope="session")


class Worker:
    """One process, and what it has said so far."""

    def __init__(self, plan: Plan) -> None:
        self.tried: set[UUID] = set()
        self.poison: set[UUID] = set()
        self.accepted: set[UUID] = set()
        self.stats: dict[str, int] = {}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.loader.faults.worker", msgspec.json.encode(plan).decode()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def has_living_descendants(self) -> bool:
        """Whether the process or one that it forked still runs: they share its stdout."""
        return self._listener.is_alive()

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.end()

    def end(self, timeout: float = 150) -> int:
        """End its stdin, upon which it closes its client and exits; wait for that, and return its exit status."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        status = self.process.wait(timeout)
        self._listener.join(timeout)
        assert not self.has_living_descendants
        return status

    def _listen(self) -> None:
        assert self.process.stdout is not None
        said = {"trying": self.tried, "poison": self.poison, "accepted": self.accepted}
        with self.process.stdout as lines:
            for line in lines:
                word, what = line.decode().split(" ", 1)
                if word == "stats":
                    self.stats = json.loads(what)
                else:
                    said[word].add(UUID(what.strip()))


class Workers:
    """All processes of one test, with one journal directory."""

    def __init__(self, log: Log, journal_dir: Path) -> None:
        self.log = log
        self.journal_dir = journal_dir
        self.all: list[Worker] = []

    def start(self, count: int = 1, *, dsn: str | None = None, settings: Any = None, **plan: Any) -> list[Worker]:
        settings = {"max_batch_age": 0.02, "journal_dir": str(self.journal_dir), **(settings or {})}
        whole = Plan(dsn=dsn or self.log.conninfo, user_id=self.log.user_id, settings=settings, **plan)
        started = [Worker(whole) for _ in range(count)]
        self.all += started
        wait_until(lambda: all(worker.accepted for worker in started), 60)
        return started

    def journals(self) -> list[Path]:
        """Those that hold lines, oldest first."""
        return sorted(path for path in self.journal_dir.glob("journal-*") if size_of(path))

    def recover(self) -> None:
        """Start a process and wait until it has sent what the dead ones left."""
        (worker,) = self.start(pause=3600)
        wait_until(lambda: not self.journals(), 60)
        assert worker.end() == 0

    def end(self) -> None:
        """Let all end that were not killed."""
        for worker in self.all:
            assert worker.end() in {0, -signal.SIGKILL}

    def sum(self, counter: str) -> int:
        """Over all that could close their clients."""
        return sum(worker.stats[counter] for worker in self.all if worker.stats)

    def assert_accepted_is_stored(self) -> int:
        """Accepted = stored, once; and what a kill kept from being said was tried. Returns how many."""
        accepted = set().union(*(worker.accepted for worker in self.all))
        tried = set().union(*(worker.tried for worker in self.all))
        poison = set().union(*(worker.poison for worker in self.all))
        stored = self.log.stored_ids()
        assert len(stored) == len(set(stored))
        lost = accepted - poison - set(stored)
        assert not lost, f"{len(lost)} of {len(accepted)} are lost"
        assert set(stored) <= tried
        print(f"{len(stored):,} records accepted and stored, none lost, none doubled")
        return len(stored)


def size_of(path: Path) -> int:
    """0 of a file that was deleted just now."""
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
