"""What a killed chat process was promised is in the table once another one has started."""

from __future__ import annotations

import random

import pytest

from tests.loader.conftest import wait_until
from tests.loader.faults.conftest import ON_NEWEST_SERVER, Workers

pytestmark = ON_NEWEST_SERVER
SHORT, LONG = 3, pytest.param(50, marks=pytest.mark.faults)


@pytest.mark.parametrize("rounds", [SHORT, LONG])
@pytest.mark.parametrize("kind", [{"threads": 2}, {"tasks": 20}], ids=["threads", "asyncio"])
def test_processes_killed_at_random_moments_lose_nothing(workers: Workers, rounds: int, kind: dict) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for _ in range(rounds):
        started = workers.start(3, **kind)
        enough = chance.randrange(1, 400)
        wait_until(lambda: sum(len(worker.accepted) for worker in started) >= enough, 60)  # noqa: B023
        for worker in started:
            worker.kill()
    workers.recover()
    workers.assert_accepted_is_stored()


@pytest.mark.parametrize("processes", [3, pytest.param(12, marks=pytest.mark.faults)])
def test_of_several_that_start_at_once_each_journal_goes_to_one(workers: Workers, processes: int) -> None:
    for worker in workers.start(processes, dsn="host=127.0.0.1 port=1"):
        wait_until(lambda: len(worker.accepted) > 200)  # noqa: B023
        worker.kill()
    heirs = workers.start(3, pause=3600)
    wait_until(lambda: not workers.journals(), 60)
    for heir in heirs:
        assert heir.end() == 0
    stored = workers.assert_accepted_is_stored()
    assert (workers.sum("stored"), workers.sum("duplicates")) == (stored, 0)
    assert workers.sum("recovered") == stored - len(heirs)


@pytest.mark.parametrize("seconds", [1, pytest.param(30, marks=pytest.mark.faults)])
def test_thirty_two_threads_in_each_of_two_processes(workers: Workers, seconds: int) -> None:
    killed, stopped = workers.start(2, threads=32, pause=0.01)
    wait_until(lambda: len(stopped.accepted) > seconds * 300, 30 + 3 * seconds)
    killed.kill()
    assert stopped.end() == 0
    workers.recover()
    workers.assert_accepted_is_stored()


def test_children_forked_and_spawned_after_the_first_record_that_end_without_exit_hooks(workers: Workers) -> None:
    for worker in workers.start(2, forks=3, spawns=1, records=100):
        assert worker.end() == 0
    workers.recover()
    assert workers.assert_accepted_is_stored() >= 2 * (1 + 100 + 4 * 100)


def test_a_child_that_outlives_its_killed_parent_does_not_keep_the_parents_journal(workers: Workers) -> None:
    with workers.log.database.connect() as other, other.transaction():
        other.execute("lock table public.chat_telemetry_log in access exclusive mode")
        (worker,) = workers.start(forks=1, pause=0.05)
        wait_until(lambda: len(workers.journals()) == 2)
        parents_journal, _ = workers.journals()
        worker.process.kill()
    (heir,) = workers.start(pause=3600)
    wait_until(lambda: not parents_journal.exists())
    assert worker.has_living_descendants
    assert heir.end() == 0
    worker.end()
    workers.recover()
    workers.assert_accepted_is_stored()
