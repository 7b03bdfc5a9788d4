"""The measurements of the reports, part by part."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.reports.comparison import Comparison
from benchmarks.reports.dbt_runs import PLAIN_VIEWS, Cost, Dbt
from benchmarks.reports.feed_cost import measure_feed_cost
from benchmarks.reports.log_database import LogDatabase
from benchmarks.reports.readers import REPORTS, Reading, seven_readers
from benchmarks.reports.versions import Version, with_other_definitions
from chat_telemetry._cli.embedded_postgres import EmbeddedPostgres

ROWS_PER_DAY = 14_000
VARIANTS = {"plain, windowed": False, "plain, whole log": True}
WINDOWED, WHOLE_LOG = "chat_telemetry_windowed", "chat_telemetry_whole_log"  # the schemas of the plain views

Costs = dict[str, dict[str, list[dict[str, object]]]]


class ReportsBenchmark:
    """One server, a database per size, and the results."""

    def __init__(
        self, server: EmbeddedPostgres, directory: Path, options: argparse.Namespace, machine: dict[str, Any]
    ) -> None:
        self.options = options
        self.results: dict[str, Any] = {"machine": machine, "rows_per_day": ROWS_PER_DAY}
        self._server = server
        self._directory = directory
        self._started = time.perf_counter()

    def run(self) -> dict[str, Any]:
        """Measure the selected parts; returns the results for `tables`."""
        for part in self.options.only:
            self._say(part)
            self.results[part] = PARTS[part](self)
            self.options.output.write_text(json.dumps(self.results, indent=1))
        return self.results

    @cached_property
    def databases(self) -> list[LogDatabase]:
        """A filled database per size, the smallest first."""
        databases = [self._database(f"rows_{rows}", rows) for rows in sorted(self.options.rows)]
        for database in databases:
            if not database.is_filled():
                database.create()
                database.fill(partial(self._say_filled, database))
            self._say(f"{database.name}: {database.rows:,} rows on {database.days} days")
        return databases

    @property
    def largest(self) -> LogDatabase:
        return self.databases[-1]

    def costs(self) -> dict[str, Any]:
        """Costs of a run after each kind of change, compared with the plain views, and the sizes at the end."""
        costs: Costs = defaultdict(lambda: defaultdict(list))

        def note(database: LogDatabase, case: str, cost: Cost) -> None:
            costs[database.name][case].append(asdict(cost))
            self._say_cost(database, case, cost)

        for database in self.databases:
            database.forget_counts()
            self._ours(database).run("seed")
            note(database, "first run", self._ours(database).run())
            self._make_room_for_plain_views(database)
            database.tidy()
        for repetition in range(self.options.repetitions):
            self._measure_cases(note)
            if repetition < self.options.plain_repetitions:
                for label in VARIANTS:
                    for database in self.databases:
                        note(database, label, self._plain(database, label).run())
        return {
            "runs": costs,
            "differing_reports": {database.name: self._differing_reports(database) for database in self.databases},
            "sizes": {database.name: database.sizes() for database in self.databases},
        }

    def _measure_cases(self, note: Callable[[LogDatabase, str, Cost], None]) -> None:
        largest = [self.largest]  # in a short log all late rows would be in the weeks that the reports read
        cases: dict[str, tuple[list[LogDatabase], Callable[[LogDatabase], None]]] = {
            "1,000 new rows": (self.databases, lambda database: database.add_new(1_000)),
            "nothing new": (self.databases, lambda database: None),
            f"{self.options.late_rows:,} late rows": (
                largest,
                lambda database: database.add_late(self.options.late_rows),
            ),
            "an erased user": (largest, LogDatabase.erase_user),
        }
        for case, (databases, prepare) in cases.items():
            for database in databases:
                prepare(database)
                note(database, case, self._ours(database).run())

    def _make_room_for_plain_views(self, database: LogDatabase) -> None:
        with database.connect() as connection:
            for schema in (WINDOWED, WHOLE_LOG):
                connection.execute(f"drop schema if exists {schema} cascade")
                connection.execute(f"create schema {schema} authorization telemetry_transformer")

    def _differing_reports(self, database: LogDatabase) -> list[str]:
        """The reports whose rows differ from their plain view. There must be none, or the comparison is meaningless."""
        self._ours(database).run()
        self._plain(database, "plain, windowed").run()
        with database.connect() as connection:
            return [report for report in REPORTS if differs(connection, report)]

    def readers(self) -> dict[str, dict[str, dict[str, Any]]]:
        """How long readers of the largest log wait during each kind of run."""
        self._make_room_for_plain_views(self.largest)
        ours, plain = self._ours(self.largest), self._plain(self.largest, "plain, windowed")
        ours.run("seed")
        ours.run()
        plain.run()
        changed = replace(ours, name="changed", project=with_other_definitions(self._directory / "changed"))
        self.largest.add_new(1_000)
        situations: dict[str, tuple[str, Callable[[], object]]] = {
            "no run": ("chat_reports", lambda: time.sleep(self.options.idle_seconds)),
            "run": ("chat_reports", ours.run),
            "changed definitions": ("chat_reports", changed.run),
            "stock dbt, run": (WINDOWED, plain.run),
            "stock dbt, changed definitions": (WINDOWED, lambda: plain.run("run", "--full-refresh")),
        }
        found: dict[str, dict[str, Reading]] = {}
        for situation, (schema, happening) in situations.items():
            self._say(f"readers: {situation}")
            with seven_readers(self.largest.conninfo, schema) as found[situation]:
                happening()
        return {
            situation: {report: asdict(reading) for report, reading in readings.items()}
            for situation, readings in found.items()
        }

    def feed(self) -> dict[str, Any]:
        """What the feed adds to an insert, and its size."""
        database = self._database("feed", 10_000)
        database.create()
        database.fill(lambda rows: None)
        costs = []
        pairs = self.options.batch_pairs
        for rows_per_statement, count, waits in ((500, pairs, False), (1, pairs * 10, False), (1, pairs * 10, True)):
            self._say(f"feed: {count:,} pairs of inserts of {rows_per_statement} rows")
            costs.append(asdict(measure_feed_cost(database, rows_per_statement, count, waits)))
        with database.connect() as connection:
            row = connection.execute(
                "select pg_relation_size('public.chat_telemetry_changes')::float / count(*)"
                " from public.chat_telemetry_changes"
            ).fetchone()
        return {"costs": costs, "bytes_per_row": row[0] if row else None}

    def busy_day(self) -> dict[str, Any]:
        """A run that counts a day of a million requests, and a run after 1,000 more."""
        rows = self.options.busy_day_rows
        database = self._database("busy_day", rows, rows_per_day=rows)
        database.create()
        ours = self._ours(database)
        ours.run("seed")
        ours.run()
        self._say(f"busy day: inserting {rows:,} rows")
        started = time.perf_counter()
        for _ in range(10):
            database.add_new(rows // 10)
        insert_s = time.perf_counter() - started
        costs = {"the whole day": [asdict(ours.run())], "1,000 new rows": []}
        for _ in range(self.options.repetitions):
            database.add_new(1_000)
            costs["1,000 new rows"].append(asdict(ours.run()))
        return {"rows": rows, "insert_s": insert_s, "costs": costs, "sizes": database.sizes()}

    def before(self) -> dict[str, Any]:
        """This version compared with the one in --before, on the same rows."""
        return {database.name: self._compare(database) for database in self.databases}

    def _compare(self, database: LogDatabase) -> dict[str, Any]:
        version = Version(self.options.before)
        other = self._database(f"{database.name}_before", database.rows, version=version)
        other.create()
        other.fill_from(database)
        self._say(f"{other.name}: the same rows")
        comparison = Comparison(
            self._server, self._ours(database), self._ours(other), self.options.late_rows, self._say_cost
        )
        return comparison.run(self.options.repetitions)

    def _database(self, name: str, rows: int, rows_per_day: int = ROWS_PER_DAY, **options: Any) -> LogDatabase:
        return LogDatabase(self._server, name, rows, rows_per_day, **options)

    def _ours(self, database: LogDatabase) -> Dbt:
        return Dbt(self._server, database, "reports", self._directory)

    def _plain(self, database: LogDatabase, label: str) -> Dbt:
        whole_log = VARIANTS[label]
        name = "whole_log" if whole_log else "windowed"
        return Dbt(self._server, database, name, self._directory, PLAIN_VIEWS, variables=(("whole_log", whole_log),))

    def _say_cost(self, database: LogDatabase, case: str, cost: Cost) -> None:
        self._say(
            f"{database.name}: {case}: {cost.inside_dbt_s:.2f} s in dbt, {cost.process_s:.2f} s as a process,"
            f" {cost.server_cpu_s:.2f} s of the server's CPU"
        )

    def _say_filled(self, database: LogDatabase, rows: int) -> None:
        self._say(f"{database.name}: {rows:,} rows", end="\r")

    def _say(self, text: str, end: str = "\n") -> None:
        print(f"[{time.perf_counter() - self._started:7.1f} s] {text}", file=sys.stderr, end=end, flush=True)


PARTS: dict[str, Callable[[ReportsBenchmark], Any]] = {
    "costs": ReportsBenchmark.costs,
    "readers": ReportsBenchmark.readers,
    "feed": ReportsBenchmark.feed,
    "busy_day": ReportsBenchmark.busy_day,
    "before": ReportsBenchmark.before,
}


def differs(connection: psycopg.Connection, report: str) -> bool:
    """Whether the rows of a report differ from those of its plain view."""
    ours, plain = f"select * from chat_reports.{report}", f"select * from {WINDOWED}.{report}"
    query = f"select exists (({ours} except all {plain}) union all ({plain} except all {ours}))"
    return connection.execute(query).fetchone() != (False,)
