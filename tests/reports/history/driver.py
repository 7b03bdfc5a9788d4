"""A history: a writer that never stops, events that happen to dbt, and checks that reports and rollups are right."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from zoneinfo import ZoneInfo

import psycopg
from dbt.cli.main import dbtRunnerResult
from psycopg.abc import Params, QueryNoTemplate

from tests.conftest import Database
from tests.dbt_project import DbtProject, failures
from tests.reports.contract import LOG
from tests.reports.history.checks import Checks
from tests.reports.history.process import TIMEOUT_S, DbtProcess
from tests.reports.history.writer import Writer
from tests.reports.scenes import copy_project, edit, footprint, value

AS_OF = dt.date(2026, 11, 2)  # the day after the clocks of New York go back, a month after Lord Howe's go forward
TIMEZONES = ["UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]
TRACE_LENGTH = 40
PAUSE_S = 0.005  # between writes while dbt runs, which also needs a processor
FEED = "select count(*) from public.chat_telemetry_changes"
STATE = "select md5(string_agg(s::text, ' ' order by report)) from chat_rollups.report_state as s"
LOCK = "select from chat_rollups.progress where name = %s for update"
CONNECTION = "      connect_timeout: 10\n"
AUTOCOMMIT = "      autocommit: \"{{ env_var('CHAT_TELEMETRY_TEST_AUTOCOMMIT', 'False') | as_bool }}\"\n"


def choose_seed() -> int:
    """CHAT_TELEMETRY_TEST_SEED, or a random one."""
    return int(os.environ.get("CHAT_TELEMETRY_TEST_SEED", random.SystemRandom().randrange(10**6)))


def copy_with_autocommit(project: DbtProject) -> DbtProject:
    """A copy that does not change during the test. CHAT_TELEMETRY_TEST_AUTOCOMMIT sets `autocommit` of its profile."""
    copy = replace(project, directory=project.scratch / "project")
    copy_project(project.directory, copy.directory)
    edit(copy, "profiles.yml", CONNECTION, CONNECTION + AUTOCOMMIT)
    return copy


class History:
    """One database and what happens to it.

    The seed decides the events and the writes. Their order in time depends on the machine.
    """

    def __init__(self, project: DbtProject, seed: int) -> None:
        self.seed = seed
        self.project = copy_with_autocommit(project)
        self.rng = random.Random(seed)  # noqa: S311
        self.timezone = self.rng.choice(TIMEZONES)
        self.as_of = AS_OF
        self.column: str | None = None
        self.horizon: dt.date | None = None
        self.log = LOG
        self.writer = Writer(project.database, random.Random(seed), AS_OF, ZoneInfo(self.timezone))  # noqa: S311
        self.checks = 0
        self._trace: deque[str] = deque(maxlen=TRACE_LENGTH)
        self._began = time.monotonic()

    def __enter__(self) -> History:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """If the test failed, add to the error how to repeat it and the last writes and events."""
        self.writer.close()
        database = self.project.database
        database.server.drop_database(database.name)
        if error:
            trace = "\n  ".join(self._trace)
            error.add_note(f"Repeat with CHAT_TELEMETRY_TEST_SEED={self.seed}. The last writes and events:\n  {trace}")

    def tell(self, text: str) -> None:
        """Print an event, for `pytest -s`, and keep it for the message of a failure."""
        self._trace.append(text)
        seconds = time.monotonic() - self._began
        print(f"seed {self.seed}: {seconds:6.1f} s, {self.writer.writes:6} writes: {text}", flush=True)  # noqa: T201

    def write(self, count: int) -> None:
        for _ in range(count):
            self._trace.append(self.writer.write())

    def write_until(self, is_over: Callable[[], bool]) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while not is_over():
            self.write(1)
            time.sleep(PAUSE_S)
            assert time.monotonic() < deadline, f"not over after {TIMEOUT_S} seconds"

    def execute(self, statement: QueryNoTemplate, parameters: Params | None = None) -> psycopg.Cursor:
        """Run a statement as the administrator, with read committed whatever default the database has."""
        with self.project.database.connect() as connection:
            connection.execute("set default_transaction_isolation = 'read committed'")
            return connection.execute(statement, parameters)

    def set(self, **settings: str) -> None:
        """Set environment variables of dbt from now on."""
        self.project = replace(self.project, settings={**self.project.settings, **settings})

    def move_to(self, database: Database) -> None:
        """Continue with another database in place of this one, which is dropped."""
        old = self.project.database
        self.project = replace(self.project, database=database)
        self.writer.connect(database)
        old.server.drop_database(old.name)

    def invoke(self, *arguments: str) -> dbtRunnerResult:
        self.tell(f"dbt {' '.join(arguments)}")
        return self.project.invoke(*arguments, report_as_of=self.as_of.isoformat(), report_timezone=self.timezone)

    def run(self, *arguments: str) -> None:
        """Run dbt in this process; transactions are open, but nothing is written meanwhile. It must succeed."""
        outcome = self.invoke(*arguments)
        assert outcome.success, failures(outcome)

    def refuse(self, *arguments: str) -> str:
        """Run dbt in this process. It must fail; returns its error messages."""
        outcome = self.invoke(*arguments)
        assert not outcome.success
        return failures(outcome)

    def start(self, *arguments: str) -> DbtProcess:
        self.tell(f"dbt {' '.join(arguments)}, as a process")
        return DbtProcess(self.project, *arguments, report_as_of=self.as_of.isoformat(), report_timezone=self.timezone)

    def finish(self, *processes: DbtProcess) -> None:
        """Write until the processes end. They must succeed."""
        self.write_until(lambda: not any(process.is_running() for process in processes))
        for process in processes:
            assert process.succeeded(), process.said()

    @contextlib.contextmanager
    def locked(self) -> Iterator[psycopg.Connection]:
        """Lock the row of progress of the drain or of a rollup, so that each run waits for it."""
        with self.project.database.connect() as holder, holder.transaction():
            names = holder.execute("select name from chat_rollups.progress order by name").fetchall()
            (name,) = self.rng.choice(names)
            holder.execute(LOCK, [name])
            self.tell(f"lock {name}")
            yield holder

    def write_until_blocked(self, process: DbtProcess, holder: psycopg.Connection) -> list[int]:
        """Write until the process waits for the holder's lock; returns the ids of the waiting sessions."""
        self.write_until(lambda: not process.is_running() or bool(blocked_by(holder)))
        assert process.is_running(), process.said()
        return blocked_by(holder)

    def footprint(self) -> dict[str, object]:
        """Values that change if dbt writes anything or drains the feed."""
        return {**footprint(self.project), **{query: value(self.project, query) for query in (FEED, STATE)}}

    def check(self) -> None:
        """End every transaction, run dbt once, and compare everything with direct SQL."""
        self.writer.end_transactions()
        self.run("run")
        place = (self.as_of, self.timezone, self.column, self.horizon, self.log)
        Checks(self.project.database, *place).assert_all_is_right()
        self.checks += 1
        self.tell(f"check {self.checks}: all is right")


def blocked_by(holder: psycopg.Connection) -> list[int]:
    """The sessions that wait for a lock of the holder."""
    waiting = "select pid from pg_locks where not granted and %s = any(pg_blocking_pids(pid))"
    return [pid for (pid,) in holder.execute(waiting, [holder.info.backend_pid])]
