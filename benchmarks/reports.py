"""What a run of dbt costs, how long readers wait for it and what it stores, beside plain materialized views.

Run `make bench-reports`, or with fewer rows: `python -m benchmarks.reports --rows 50000 500000 --repetitions 3`.
The databases of all sizes are in one server, and the runs that are compared take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.dbt_runs import PASSWORD, PLAIN_VIEWS, Cost, Dbt
from benchmarks.feed_cost import measure_feed_cost
from benchmarks.log_database import LogDatabase
from benchmarks.readers import REPORTS, Reading, seven_readers
from benchmarks.result_tables import result_tables
from chat_telemetry.embedded import EmbeddedPostgres

BYTES_PER_ROW = 2_500  # of disk, with indexes, write-ahead log and what is left over from loading
SETTINGS = {"shared_buffers": "1GB", "max_wal_size": "4GB", "max_connections": "50"}
ROWS_PER_DAY = 14_000
VARIANTS = {"plain, windowed": False, "plain, whole log": True}

Costs = dict[str, dict[str, list[dict[str, object]]]]


class ReportsBenchmark:
    """One server, a database per size, and what was found."""

    def __init__(self, server: EmbeddedPostgres, options: argparse.Namespace) -> None:
        self.options = options
        self.databases = [LogDatabase(server, f"rows_{rows}", rows, ROWS_PER_DAY) for rows in sorted(options.rows)]
        self.largest = self.databases[-1]
        self.costs: Costs = defaultdict(lambda: defaultdict(list))
        self.results: dict[str, Any] = {"machine": machine(), "costs": self.costs, "rows_per_day": ROWS_PER_DAY}
        self._server = server
        self._started = time.perf_counter()

    def run(self) -> dict[str, Any]:
        """Measure everything; return what `result_tables` shows."""
        for database in self.databases:
            self._set_up(database)
        for part in (
            self._measure_costs,
            self._measure_sizes,
            self._measure_readers,
            self._measure_feed,
            self._measure_busy_day,
        ):
            part()
            self.options.output.write_text(json.dumps(self.results, indent=1))
        return self.results

    def _set_up(self, database: LogDatabase) -> None:
        if not database.is_filled():
            database.create()
            database.fill(lambda rows: self._say(f"{database.name}: {rows:,} rows", end="\r"))
        database.forget_counts()
        self._say(f"{database.name}: {database.rows:,} rows on {database.days} days")
        with database.connect() as connection:
            connection.execute(f"alter role telemetry_transformer login password '{PASSWORD}'")
            for variant in ("windowed", "whole_log"):
                connection.execute(f"create schema chat_tallies_{variant} authorization telemetry_transformer")
        ours = self._ours(database)
        ours.run("seed")
        self._note(database, "first run", ours.run())
        with database.connect() as connection:
            connection.execute("vacuum analyze")
            connection.execute("checkpoint")

    def _measure_costs(self) -> None:
        largest = [self.largest]  # in a short log all late rows would fall into the weeks that the reports look at
        cases: dict[str, tuple[list[LogDatabase], Callable[[LogDatabase], None]]] = {
            "1,000 new rows": (self.databases, lambda database: database.add_new(1_000)),
            "nothing new": (self.databases, lambda database: None),
            "100,000 late rows": (largest, lambda database: database.add_late(100_000)),
            "an erased user": (largest, LogDatabase.erase_user),
        }
        for repetition in range(self.options.repetitions):
            for case, (databases, prepare) in cases.items():
                for database in databases:
                    prepare(database)
                    self._note(database, case, self._ours(database).run())
            if repetition < self.options.plain_repetitions:
                for label in VARIANTS:
                    for database in self.databases:
                        self._note(database, label, self._plain(database, label).run())
        for database in self.databases:  # so that both have counted the same, for the comparison of answers
            self._ours(database).run()
            self._plain(database, "plain, windowed").run()

    def _measure_sizes(self) -> None:
        self.results["same_answers"] = {d.name: differing_reports(d) == [] for d in self.databases}
        self.results["sizes"] = {d.name: d.sizes() for d in self.databases}

    def _measure_readers(self) -> None:
        """Readers of the largest log: without a run, during a run, and during one that applies a changed definition."""
        ours, plain = self._ours(self.largest), self._plain(self.largest, "plain, windowed")
        today = datetime.now(UTC).date().isoformat()

        def change_definitions() -> None:
            ours.run(report_as_of=today)
            ours.run()

        situations: dict[str, tuple[str, Callable[[], object]]] = {
            "no run": ("chat_reports", lambda: time.sleep(self.options.idle_seconds)),
            "run": ("chat_reports", ours.run),
            "changed definitions": ("chat_reports", change_definitions),
            "stock dbt, run": ("chat_tallies_windowed", plain.run),
            "stock dbt, changed definitions": ("chat_tallies_windowed", lambda: plain.run("run", "--full-refresh")),
        }
        self.largest.add_new(1_000)
        found: dict[str, dict[str, Reading]] = {}
        for situation, (schema, happening) in situations.items():
            self._say(f"readers: {situation}")
            with seven_readers(self.largest.conninfo, schema) as readings:
                happening()
            found[situation] = readings
        self.results["readers"] = {
            situation: {report: asdict(readings[report]) for report in REPORTS} for situation, readings in found.items()
        }

    def _measure_feed(self) -> None:
        database = LogDatabase(self._server, "feed", 10_000, ROWS_PER_DAY)
        database.create()
        database.fill(lambda rows: None)
        self.results["feed"] = []
        pairs = self.options.batch_pairs
        for rows_per_statement, count, waits in ((500, pairs, False), (1, pairs * 10, False), (1, pairs * 10, True)):
            self._say(f"feed: {count:,} pairs of inserts of {rows_per_statement} rows")
            self.results["feed"].append(asdict(measure_feed_cost(database, rows_per_statement, count, waits)))
        with database.connect() as connection:
            row = connection.execute(
                "select pg_relation_size('public.chat_telemetry_changes')::float / count(*)"
                " from public.chat_telemetry_changes"
            ).fetchone()
        self.results["feed_bytes_per_row"] = row[0] if row else None

    def _measure_busy_day(self) -> None:
        """A day of a million requests that one run counts, and 1,000 more."""
        rows = self.options.busy_day_rows
        database = LogDatabase(self._server, "busy_day", rows, rows)
        database.create()
        ours = self._ours(database)
        ours.run("seed")
        ours.run()
        self._say(f"busy day: inserting {rows:,} rows")
        started = time.perf_counter()
        for _ in range(10):
            database.add_new(rows // 10)
        self.results["busy_day"] = {"rows": rows, "insert_s": time.perf_counter() - started}
        self._note(database, "the whole day", ours.run())
        for _ in range(self.options.repetitions):
            database.add_new(1_000)
            self._note(database, "1,000 new rows", ours.run())
        self.results["sizes"][database.name] = database.sizes()

    def _ours(self, database: LogDatabase) -> Dbt:
        return Dbt(self._server, database, "reports", self.options.directory)

    def _plain(self, database: LogDatabase, label: str) -> Dbt:
        whole_log = VARIANTS[label]
        name = "whole_log" if whole_log else "windowed"
        return Dbt(
            self._server, database, name, self.options.directory, PLAIN_VIEWS, variables=(("whole_log", whole_log),)
        )

    def _note(self, database: LogDatabase, case: str, cost: Cost) -> None:
        self.costs[database.name][case].append(asdict(cost))
        self._say(
            f"{database.name}: {case}: {cost.inside_dbt_s:.2f} s in dbt, {cost.process_s:.2f} s as a process,"
            f" {cost.server_cpu_s:.2f} s of the server's CPU"
        )

    def _say(self, text: str, end: str = "\n") -> None:
        print(f"[{time.perf_counter() - self._started:7.1f} s] {text}", file=sys.stderr, end=end, flush=True)


def differing_reports(database: LogDatabase) -> list[str]:
    """The reports whose rows are not those of their plain view: none, or the comparison compares nothing."""
    with database.connect() as connection:
        return [report for report in REPORTS if _differs(connection, report)]


def _differs(connection: psycopg.Connection, report: str) -> bool:
    ours, plain = f"select * from chat_reports.{report}", f"select * from chat_tallies_windowed.{report}"
    query = f"select exists (({ours} except all {plain}) union all ({plain} except all {ours}))"
    return connection.execute(query).fetchone() != (False,)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpus": os.cpu_count(),
        "memory_gb": round(memory / 1e9, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "settings": SETTINGS,
    }


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[500_000, 5_000_000], help="sizes of the log")
    parser.add_argument("--repetitions", type=int, default=5, help="runs of each case")
    parser.add_argument(
        "--plain-repetitions", type=int, default=3, help="runs of the plain views; the first one makes them"
    )
    parser.add_argument(
        "--batch-pairs", type=int, default=400, help="pairs of batches; of single inserts ten times that"
    )
    parser.add_argument("--busy-day-rows", type=int, default=1_000_000, help="requests of the busy day")
    parser.add_argument("--idle-seconds", type=float, default=10, help="how long readers are watched without a run")
    parser.add_argument("--directory", type=Path, help="of the server, to keep it filled (default: a temporary one)")
    parser.add_argument("--output", type=Path, default=Path("bench-reports.json"), help="the figures as JSON")
    return parser.parse_args()


def main() -> None:
    options = read_options()
    kept = options.directory is not None
    options.directory = (options.directory or Path(tempfile.mkdtemp(prefix="bench-reports-"))).resolve()
    options.directory.mkdir(parents=True, exist_ok=True)
    needed = BYTES_PER_ROW * (sum(options.rows) + options.busy_day_rows)
    free = shutil.disk_usage(options.directory).free
    if free < needed:
        sys.exit(f"{options.directory} has {free / 1e9:.0f} GB free, {needed / 1e9:.0f} GB are needed: see --directory")
    server = EmbeddedPostgres(options.directory, version=18, settings=SETTINGS)
    server.start()
    try:
        results = ReportsBenchmark(server, options).run()
    finally:
        server.stop("immediate")
        if not kept:
            shutil.rmtree(options.directory)
    print(result_tables(results))


if __name__ == "__main__":
    main()
