"""A history: a writer that never rests, whatever can happen to dbt, and now and then a check that all is right."""

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
from psycopg.abc import Params, Query

from tests.conftest import Database
from tests.dbt_project import DbtProject, failures
from tests.reports.history.checks import Checks
from tests.reports.history.process import TIMEOUT_S, DbtProcess
from tests.reports.history.writer import Writer
from tests.reports.scenes import copy_project, edit, footprint, value

AS_OF = dt.date(2026, 11, 2)  # the day after the clocks of New York go back, a month after Lord Howe's go forward
TIMEZONES = ["UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]
TRACE_LENGTH = 40
PAUSE_S = 0.005  # between the writes beside a dbt that runs, which needs a processor too
FEED = "select count(*) from public.chat_telemetry_changes"
STATE = "select md5(string_agg(s::text, ' ' order by report)) from chat_rollups.report_state as s"
LOCK = "select from chat_rollups.progress where name = %s for update"
CONNECTION = "      connect_timeout: 10\n"
AUTOCOMMIT = "      autocommit: \"{{ env_var('CHAT_TELEMETRY_TEST_AUTOCOMMIT', 'False') | as_bool }}\"\n"


def choose_seed() -> int:
    """CHAT_TELEMETRY_TEST_SEED, or any."""
    return int(os.environ.get("CHAT_TELEMETRY_TEST_SEED", random.SystemRandom().randrange(10**6)))


def copy_with_autocommit(project: DbtProject) -> DbtProject:
    """A copy that nobody edits meanwhile. CHAT_TELEMETRY_TEST_AUTOCOMMIT sets `autocommit` of its profile."""
    copy = replace(project, directory=project.scratch / "project")
    copy_project(project.directory, copy.directory)
    edit(copy, "profiles.yml", CONNECTION, CONNECTION + AUTOCOMMIT)
    return copy


class History:
    """One database and what happens to it.

    The seed decides what dbt is put through and what is written; where the two meet is up to the machine.
    """

    def __init__(self, project: DbtProject, seed: int) -> None:
        self.seed = seed
        self.project = copy_with_autocommit(project)
        self.rng = random.Random(seed)  # noqa: S311
        self.timezone = self.rng.choice(TIMEZONES)
        self.as_of = AS_OF
        self.column: str | None = None
        self.writer = Writer(project.database, random.Random(seed), AS_OF, ZoneInfo(self.timezone))  # noqa: S311
        self.settled = 0
        self._trace: deque[str] = deque(maxlen=TRACE_LENGTH)
        self._began = time.monotonic()

    def __enter__(self) -> History:
        self.run("seed")
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """If it failed, say how to repeat it and what came before."""
        self.writer.close()
        database = self.project.database
        database.server.drop_database(database.name)
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

    def execute(self, statement: Query, parameters: Params | None = None) -> psycopg.Cursor:
        """A statement of the administrator's, under read committed whatever the database has by default."""
        with self.project.database.connect() as connection:
            connection.execute("set default_transaction_isolation = 'read committed'")
            return connection.execute(statement, parameters)

    def set(self, **settings: str) -> None:
        """Set environment variables of dbt from now on."""
        self.project = replace(self.project, settings={**self.project.settings, **settings})

    def move_to(self, database: Database) -> None:
        """Go on with a database that has taken the place of this one."""
        old = self.project.database
        self.project = replace(self.project, database=database)
        self.writer.connect(database)
        old.server.drop_database(old.name)

    def invoke(self, *arguments: str) -> dbtRunnerResult:
        self.tell(f"dbt {' '.join(arguments)}")
        return self.project.invoke(*arguments, report_as_of=self.as_of.isoformat(), report_timezone=self.timezone)

    def run(self, *arguments: str) -> None:
        """dbt in this process, while transactions are open but nothing is written; it must succeed."""
        outcome = self.invoke(*arguments)
        assert outcome.success, failures(outcome)

    def refuse(self, *arguments: str) -> str:
        """dbt in this process, which must fail; what it says."""
        outcome = self.invoke(*arguments)
        assert not outcome.success
        return failures(outcome)

    def start(self, *arguments: str) -> DbtProcess:
        self.tell(f"dbt {' '.join(arguments)}, as a process")
        return DbtProcess(self.project, *arguments, report_as_of=self.as_of.isoformat(), report_timezone=self.timezone)

    def finish(self, *processes: DbtProcess) -> None:
        """Write until the processes end; they must succeed."""
        self.write_until(lambda: not any(process.is_running() for process in processes))
        for process in processes:
            assert process.succeeded(), process.said()

    @contextlib.contextmanager
    def locked(self) -> Iterator[psycopg.Connection]:
        """Keep the progress of the drain, or that of a rollup, from every run."""
        with self.project.database.connect() as holder, holder.transaction():
            names = holder.execute("select name from chat_rollups.progress order by name").fetchall()
            (name,) = self.rng.choice(names)
            holder.execute(LOCK, [name])
            self.tell(f"lock {name}")
            yield holder

    def write_until_blocked(self, process: DbtProcess, holder: psycopg.Connection) -> list[int]:
        """Write until the process waits for the holder's lock; the ids of the waiting sessions."""
        self.write_until(lambda: not process.is_running() or bool(blocked_by(holder)))
        assert process.is_running(), process.said()
        return blocked_by(holder)

    def footprint(self) -> dict[str, object]:
        """What is no longer the same if dbt wrote anything or took anything from the feed."""
        return {**footprint(self.project), **{query: value(self.project, query) for query in (FEED, STATE)}}

    def settle(self) -> None:
        """End every transaction, run dbt once, and compare everything with direct SQL."""
        self.writer.end_transactions()
        self.run("run")
        Checks(self.project.database, self.as_of, self.timezone, self.column).assert_all_is_right()
        self.settled += 1
        self.tell(f"all is right, for the {self.settled}. time")


def blocked_by(holder: psycopg.Connection) -> list[int]:
    """The sessions that wait for a lock of the holder's."""
    waiting = "select pid from pg_locks where not granted and %s = any(pg_blocking_pids(pid))"
    return [pid for (pid,) in holder.execute(waiting, [holder.info.backend_pid])]
