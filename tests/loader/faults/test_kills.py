"""After another process has started, the accepted records of a killed one are in the table."""

from __future__ import annotations

import os
import random
import signal
from typing import Any

import pytest

from tests.loader.conftest import wait_until
from tests.loader.faults.conftest import ON_NEWEST_SERVER, Workers

pytestmark = ON_NEWEST_SERVER
SHORT, LONG = 3, pytest.param(50, marks=pytest.mark.faults)


@pytest.mark.parametrize("rounds", [SHORT, LONG])
@pytest.mark.parametrize("load", [{"threads": 2}, {"tasks": 20}], ids=["threads", "asyncio"])
def test_processes_killed_at_random_moments_lose_no_record(workers: Workers, rounds: int, load: dict[str, Any]) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    generator = random.Random(seed)
    for _ in range(rounds):
        started = workers.start(3, **load)
        enough = generator.randrange(1, 400)
        wait_until(lambda: sum(len(worker.accepted) for worker in started) >= enough)  # noqa: B023
        for worker in started:
            worker.kill()
    workers.recover()
    workers.assert_accepted_is_stored()


@pytest.mark.parametrize("processes", [3, pytest.param(12, marks=pytest.mark.faults)])
def test_each_journal_is_recovered_by_one_of_several_processes_that_start_together(
    workers: Workers, processes: int
) -> None:
    for worker in workers.start(processes, dsn="host=127.0.0.1 port=1"):
        wait_until(lambda: len(worker.accepted) > 200)  # noqa: B023
        worker.kill()
    successors = workers.start(3, pause=3600)
    wait_until(lambda: not workers.journals())
    for successor in successors:
        assert successor.end() == 0
    stored = workers.assert_accepted_is_stored()
    assert (workers.sum("stored"), workers.sum("duplicates")) == (stored, 0)
    assert workers.sum("recovered") == stored - len(successors)


@pytest.mark.parametrize("seconds", [1, pytest.param(30, marks=pytest.mark.faults)])
def test_two_processes_with_thirty_two_threads_each_lose_no_record(workers: Workers, seconds: int) -> None:
    killed, stopped = workers.start(2, threads=32, pause=0.01)
    wait_until(lambda: len(stopped.accepted) > seconds * 300, 30 + 3 * seconds)
    killed.kill()
    assert stopped.end() == 0
    workers.recover()
    workers.assert_accepted_is_stored()


def test_forked_and_spawned_children_that_end_without_exit_hooks_lose_no_record(workers: Workers) -> None:
    for worker in workers.start(2, forks=3, spawns=1, records=100):
        assert worker.end() == 0
    workers.recover()
    assert workers.assert_accepted_is_stored() >= 2 * (1 + 100 + 4 * 100)


def test_a_child_that_outlives_its_killed_parent_does_not_lock_the_journal_of_the_parent(workers: Workers) -> None:
    with workers.log.database.connect() as other, other.transaction():
        other.execute("lock table public.chat_telemetry_log in access exclusive mode")
        (worker,) = workers.start(forks=1, pause=1)
        wait_until(lambda: len(workers.journals()) == 2)
        parents_journal, _ = workers.journals()
        worker.process.kill()
    (successor,) = workers.start(pause=3600)
    wait_until(lambda: not parents_journal.exists())
    assert worker.has_living_descendants
    os.killpg(worker.process.pid, signal.SIGKILL)
    worker.end()
    assert successor.end() == 0
    workers.recover()
    workers.assert_accepted_is_stored()
