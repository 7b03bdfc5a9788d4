"""Events that happen to dbt while the log is written: kills, lost connections, overlaps, rebuilds, partial runs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from zoneinfo import ZoneInfo

from tests.reports.contract import COLUMNS
from tests.reports.history import environment, pruning
from tests.reports.history.checks import ROLLUPS
from tests.reports.history.driver import AS_OF, TIMEZONES, History

MODELS = 2 + len(ROLLUPS) + len(COLUMNS)
PARTS = ["drained_changes", "rollups", *ROLLUPS, *COLUMNS, *(f"+{report}" for report in COLUMNS), "daily_requests+"]
RUNS = [["run"], ["run", "--full-refresh"]]
DAYS = [1, 1, 2, 7, 31, -1, -3, -20, -31]
FARTHEST_DAY = dt.timedelta(days=60)


def runs_while_transactions_are_open(history: History) -> None:
    for _ in range(history.rng.randint(1, 2)):
        history.write(50)
        history.run("run")


def is_killed(history: History) -> None:
    """A run is killed between two models or during one."""
    process = history.start(*history.rng.choice(RUNS))
    seams = history.rng.randrange(2 * MODELS)
    history.write_until(lambda: process.seams() > seams or not process.is_running())
    history.write(history.rng.randrange(10))
    process.kill()
    history.tell(f"killed after {process.seams()} starts and ends")


def is_killed_while_it_waits(history: History) -> None:
    """The session of the killed run waits on, gets the lock, and only then finds that dbt is gone."""
    with history.locked() as holder:
        process = history.start(*history.rng.choice(RUNS))
        history.write_until_blocked(process, holder)
        process.kill()
        history.tell("killed")


def fails_and_is_retried(history: History) -> None:
    """The session of one model is terminated. The models after it are skipped, and `dbt retry` runs them."""
    with history.locked() as holder:
        process = history.start("run")
        for session in history.write_until_blocked(process, holder):
            holder.execute("select pg_terminate_backend(%s)", [session])
    history.write_until(lambda: not process.is_running())
    assert not process.succeeded(), process.said()
    # In a process, because `dbt retry` would read the option `-m` of pytest as its own.
    history.finish(history.start("retry"))


def runs_twice_at_once(history: History) -> None:
    first = history.start("run")
    history.write(history.rng.randrange(100))
    history.finish(first, history.start("run"))


def runs_in_part(history: History) -> None:
    for part in history.rng.sample(PARTS, 2):
        history.run("run", "--select", part)
        history.write(20)


def runs_empty(history: History) -> None:
    """A run that reads no rows must not publish empty reports."""
    before = history.footprint()
    history.run("run", "--empty")
    assert history.footprint() == before


def is_rebuilt(history: History) -> None:
    history.finish(history.start("run", "--full-refresh"))


def is_seeded_again(history: History) -> None:
    history.run("seed", *history.rng.choice([[], ["--full-refresh"]]))


def changes_its_time_zone(history: History) -> None:
    """A plain run refuses to mix days of two time zones, and says what to do."""
    old = history.timezone
    history.timezone = history.rng.choice([name for name in TIMEZONES if name != history.timezone])
    if history.horizon:
        said = history.refuse(*history.rng.choice(RUNS))
        assert f"Set report_timezone to {old}: the log was pruned" in said
        history.timezone = old
        return
    history.writer.zone = ZoneInfo(history.timezone)
    assert "dbt run --full-refresh" in history.refuse("run")
    history.write(20)
    history.run("run", "--full-refresh")


def has_another_last_day(history: History) -> None:
    """The last day moves forward or back. The first run on that day runs all models or a part of them."""
    history.as_of += dt.timedelta(days=history.rng.choice(DAYS))
    if abs(history.as_of - AS_OF) > FARTHEST_DAY:
        history.as_of = AS_OF
    part = history.rng.choice([None, "drained_changes", "rollups", "reports"])
    history.run("run", *(["--select", part] if part else []))


def is_first_built(history: History) -> None:
    history.finish(history.start("run"))


def is_first_built_twice_at_once(history: History) -> None:
    history.finish(history.start("run"), history.start("run"))


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
    is_killed_while_it_waits,
    fails_and_is_retried,
    runs_twice_at_once,
    runs_in_part,
    runs_empty,
    is_rebuilt,
    is_seeded_again,
    changes_its_time_zone,
    has_another_last_day,
    *environment.EVENTS,
    *pruning.EVENTS,
]
