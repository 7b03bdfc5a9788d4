"""What can happen to dbt while the log is written."""

from __future__ import annotations

from collections.abc import Callable
from zoneinfo import ZoneInfo

from tests.dbt_project import failures
from tests.reports.contract import COLUMNS
from tests.reports.history.driver import TALLIES, TIMEZONES, History

HOOKS_AND_MODELS = 13
PARTS = ["drained_changes", "tallies", *TALLIES, *COLUMNS, *(f"+{report}" for report in COLUMNS), "daily_requests+"]
RUNS = [["run"], ["run", "--full-refresh"]]


def runs_while_transactions_are_open(history: History) -> None:
    for _ in range(history.rng.randint(1, 2)):
        history.write(50)
        history.run("run")


def is_killed(history: History) -> None:
    """Between two models or inside one."""
    process = history.start(*history.rng.choice(RUNS))
    seams = history.rng.randrange(2 * HOOKS_AND_MODELS)
    history.write_until(lambda: process.seams() > seams or not process.is_running())
    history.write(history.rng.randrange(10))
    process.kill()
    history.tell(f"killed after {process.seams()} starts and ends")


def is_killed_while_it_waits(history: History) -> None:
    """Its session waits on, gets the lock in the end, and only then finds nobody there."""
    with history.locked() as holder:
        process = history.start(*history.rng.choice(RUNS))
        history.write_until_blocked(process, holder)
        process.kill()
        history.tell("killed")


def fails_and_is_retried(history: History) -> None:
    """The session of one model is cut; the models after it are skipped, and done by the retry."""
    with history.locked() as holder:
        process = history.start("run")
        for session in history.write_until_blocked(process, holder):
            holder.execute("select pg_terminate_backend(%s)", [session])
    history.write_until(lambda: not process.is_running())
    assert not process.succeeded(), process.said()
    # Not in this process: `dbt retry` takes the `-m` of pytest for a deprecated option of its own.
    history.finish(history.start("retry"))


def runs_twice_at_once(history: History) -> None:
    first = history.start("run")
    history.write(history.rng.randrange(100))
    history.finish(first, history.start("run"))


def runs_in_part(history: History) -> None:
    for part in history.rng.sample(PARTS, 2):
        history.run("run", "--select", part)
        history.write(20)


def is_rebuilt(history: History) -> None:
    history.finish(history.start("run", "--full-refresh"))


def is_seeded_anew(history: History) -> None:
    history.run("seed", "--full-refresh")


def changes_its_time_zone(history: History) -> None:
    """A plain run refuses to mix days of two kinds and says what to do."""
    history.timezone = history.rng.choice([name for name in TIMEZONES if name != history.timezone])
    history.writer.zone = ZoneInfo(history.timezone)
    outcome = history.invoke("run")
    assert not outcome.success
    assert "dbt run --full-refresh" in failures(outcome)
    history.write(20)
    history.run("run", "--full-refresh")


def is_first_built(history: History) -> None:
    history.finish(history.start("run"))


def is_first_built_twice_at_once(history: History) -> None:
    """Either may find a table or view that was not there when it looked, and says so; the next run goes through."""
    processes = [history.start("run"), history.start("run")]
    history.write_until(lambda: not any(process.is_running() for process in processes))
    said = [process.said() for process in processes if not process.succeeded()]
    assert all("already exists" in text for text in said), said


def is_drained_before_it_is_built(history: History) -> None:
    history.run("run", "--select", "drained_changes")
    history.write(50)


Event = Callable[[History], None]
BEGINNINGS: list[Event] = [
    is_first_built,
    is_first_built_twice_at_once,
    is_drained_before_it_is_built,
    is_killed,
    is_killed_while_it_waits,
]
EVENTS: list[Event] = [
    runs_while_transactions_are_open,
    is_killed,
    runs_twice_at_once,
    is_killed_while_it_waits,
    is_rebuilt,
    fails_and_is_retried,
    changes_its_time_zone,
    runs_in_part,
    is_seeded_anew,
]
