"""A history: a writer that never rests, dbt in all its fortunes, and now and then a moment when all must be right."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from zoneinfo import ZoneInfo

import psycopg
from dbt.cli.main import dbtRunnerResult

from tests.dbt_project import DbtProject, failures
from tests.reports.contract import COLUMNS, differences
from tests.reports.history.process import TIMEOUT_S, DbtProcess
from tests.reports.history.writer import Writer

AS_OF = dt.date(2026, 11, 2)  # the day after the clocks of New York go back, a month after Lord Howe's go forward
TIMEZONES = ["UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]
TALLIES = ["daily_requests", "daily_users", "daily_latency"]
TRACE_LENGTH = 40
PAUSE_S = 0.005  # between the writes beside a dbt that runs, which needs a processor too
LOCK = "select from chat_tallies.tally_progress where name = %s for update"


def choose_seed() -> int:
    """CHAT_TELEMETRY_TEST_SEED, or any."""
    return int(os.environ.get("CHAT_TELEMETRY_TEST_SEED", random.SystemRandom().randrange(10**6)))


class History:
    """One database and what happens to it.

    The seed decides what dbt is put through and what is written; where the two meet is up to the machine.
    """

    def __init__(self, project: DbtProject, seed: int) -> None:
        self.seed = seed
        self.project = project
        self.rng = random.Random(seed)  # noqa: S311
        self.timezone = self.rng.choice(TIMEZONES)
        self.writer = Writer(project.database, random.Random(seed), AS_OF, ZoneInfo(self.timezone))  # noqa: S311
        self.settled = 0
        self._trace: deque[str] = deque(maxlen=TRACE_LENGTH)
        self._began = time.monotonic()

    def __enter__(self) -> History:
        self.run("seed")
        with self.project.database.connect() as connection:  # direct SQL looks up the price of every call
            connection.execute("create index on chat_tallies.token_prices (model)")
            connection.execute("create index on chat_tallies.model_aliases (alias)")
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """Where it failed, say how to repeat it and what came before."""
        self.writer.close()
        if error:
            steps = "\n  ".join(self._trace)
            error.add_note(f"Repeat with CHAT_TELEMETRY_TEST_SEED={self.seed}. The last steps were:\n  {steps}")

    def tell(self, text: str) -> None:
        """Print what happens to dbt: for who watches with `pytest -s`, and for the report of a failure."""
        self._trace.append(text)
        seconds = time.monotonic() - self._began
        print(f"seed {self.seed}: {seconds:6.1f} s, {self.writer.steps:6} steps: {text}", flush=True)  # noqa: T201

    def write(self, steps: int) -> None:
        for _ in range(steps):
            self._trace.append(self.writer.step())

    def write_until(self, is_over: Callable[[], bool]) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while not is_over():
            self.write(1)
            time.sleep(PAUSE_S)
            assert time.monotonic() < deadline, "dbt takes for ever"

    def invoke(self, *arguments: str) -> dbtRunnerResult:
        self.tell(f"dbt {' '.join(arguments)}")
        return self.project.invoke(*arguments, report_as_of=AS_OF.isoformat(), report_timezone=self.timezone)

    def run(self, *arguments: str) -> None:
        """dbt in this process, while transactions are open but nothing is written; it must succeed."""
        outcome = self.invoke(*arguments)
        assert outcome.success, failures(outcome)

    def start(self, *arguments: str) -> DbtProcess:
        self.tell(f"dbt {' '.join(arguments)}, as a process")
        return DbtProcess(self.project, *arguments, report_as_of=AS_OF.isoformat(), report_timezone=self.timezone)

    def finish(self, *processes: DbtProcess) -> None:
        """Write until the processes end; they must succeed."""
        self.write_until(lambda: not any(process.is_running() for process in processes))
        for process in processes:
            assert process.succeeded(), process.said()

    @contextlib.contextmanager
    def locked(self) -> Iterator[psycopg.Connection]:
        """Keep the drain's row of tally_progress, or that of a tally, from every run."""
        with self.project.database.connect() as holder, holder.transaction():
            names = holder.execute("select name from chat_tallies.tally_progress order by name").fetchall()
            (name,) = self.rng.choice(names)
            holder.execute(LOCK, [name])
            self.tell(f"lock {name}")
            yield holder

    def write_until_blocked(self, process: DbtProcess, holder: psycopg.Connection) -> list[int]:
        """Write until the process waits for the holder's lock; the ids of the waiting sessions."""
        self.write_until(lambda: not process.is_running() or bool(blocked_by(holder)))
        assert process.is_running(), process.said()
        return blocked_by(holder)

    def settle(self) -> None:
        """End every transaction, run dbt once, and compare the seven reports with direct SQL, both ways."""
        self.writer.end_transactions()
        with self.project.database.connect() as connection:
            (counted_by_all,) = connection.execute(
                "select coalesce(min(applied_to), 0) from chat_tallies.tally_progress where name != 'drained_changes'"
            ).fetchone() or (0,)
            self.run("run")
            assert_reports_are_right(connection, self.timezone)
            assert_nothing_is_left(connection, counted_by_all)
        self.settled += 1
        self.tell(f"all seven reports are right, for the {self.settled}. time")


def blocked_by(holder: psycopg.Connection) -> list[int]:
    """The sessions that wait for a lock of the holder's."""
    waiting = "select pid from pg_locks where not granted and %s = any(pg_blocking_pids(pid))"
    return [pid for (pid,) in holder.execute(waiting, [holder.info.backend_pid])]


def assert_reports_are_right(connection: psycopg.Connection, timezone: str) -> None:
    found = {report: differences(connection, report, AS_OF.isoformat(), timezone) for report in COLUMNS}
    wrong = {report: rows for report, rows in found.items() if rows}
    assert not wrong, "\n".join(f"{report}: {row}" for report, rows in wrong.items() for row in rows)


def assert_nothing_is_left(connection: psycopg.Connection, counted_by_all: int) -> None:
    """The feed is drained, no batch waits, and what every tally had counted before the run is forgotten."""
    assert connection.execute("select count(*) from public.chat_telemetry_changes").fetchone() == (0,)
    progress: dict[str, int] = dict(
        connection.execute("select name, applied_to from chat_tallies.tally_progress").fetchall()
    )
    assert progress == dict.fromkeys(["drained_changes", *TALLIES], progress["drained_changes"])
    kept = connection.execute(
        "select count(*) from chat_tallies.drained_changes where batch_id <= %s", [counted_by_all]
    )
    assert kept.fetchone() == (0,)
