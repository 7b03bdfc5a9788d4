"""This version of the project compared with another one: the same rows in both, and runs in turns."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import psycopg

from benchmarks.reports.dbt_runs import Cost, Dbt, server_cpu
from benchmarks.reports.log_database import RECENT_USER_DAYS, LogDatabase
from benchmarks.reports.readers import REPORTS
from chat_telemetry._cli.embedded_postgres import EmbeddedPostgres

LATE_DAYS = 35
FIRST_RUN = "first run"
# Columns that this version counts and that of commit 721e5cd does not.
NEW_COLUMNS = {
    "last_7_complete_days",
    "previous_7_complete_days",
    "sql_bounded_call_count",
    "response_bounded_call_count",
}
NUMBERS = ("numeric", "double precision", "float8")
# The rollups in the schema of either version, without the drained changes and the price lists.
ROLLUPS = """
    select oid::regclass::text, relname, pg_total_relation_size(oid)
    from pg_class
    where
        relkind = 'r'
        and relnamespace = (select relnamespace from pg_class where relname = 'daily_requests' and relkind = 'r')
        and relname not in ('drained_changes', 'token_prices', 'model_aliases')
    order by relname
"""


class Comparison:
    """Two versions, `now` and `before`, on one server. `note` is called with the cost of each run."""

    def __init__(
        self,
        server: EmbeddedPostgres,
        now: Dbt,
        before: Dbt,
        late_rows: int,
        note: Callable[[LogDatabase, str, Cost], None],
    ) -> None:
        self._server = server
        self._versions = {"before": before, "now": now}
        self._cases: dict[str, Callable[[LogDatabase], None]] = {
            "nothing new": lambda database: None,
            "1,000 new rows": lambda database: database.add_new(1_000),
            "an erased user": lambda database: database.erase_user(RECENT_USER_DAYS),
            f"{late_rows:,} late rows": lambda database: database.add_late(late_rows, LATE_DAYS),
        }
        self._note = note
        self.costs: dict[str, dict[str, list[dict[str, Any]]]] = {}
        self.vacuum_cpu_s = dict.fromkeys(self._versions, 0.0)

    def run(self, repetitions: int) -> dict[str, Any]:
        """Measure everything; returns the results for `comparison_tables`."""
        load = os.getloadavg()
        with without_autovacuum(self._server):
            for dbt in self._versions.values():
                dbt.run("seed")
            for turn in range(repetitions):
                self._take_turns(FIRST_RUN, turn, LogDatabase.forget_counts)
            fresh = self._sizes()
            for turn in range(repetitions):
                for case, prepare in self._cases.items():
                    self._take_turns(case, turn, prepare)
        return {
            "costs": self.costs,
            "vacuum_cpu_s": self.vacuum_cpu_s,
            "bytes": {"fresh": fresh, "after all runs": self._sizes()},
            "bytes_of_new_columns": self._bytes_of_new_columns(),
            "differing_reports": self._differing_reports(),
            "load": {"before": load, "after": os.getloadavg()},
        }

    def _take_turns(self, case: str, turn: int, prepare: Callable[[LogDatabase], None]) -> None:
        for name, dbt in self._versions.items():
            prepare(dbt.database)
            cpu = server_cpu(self._server)
            dbt.database.tidy()
            self.vacuum_cpu_s[name] += server_cpu(self._server) - cpu
        names = list(self._versions)
        for name in names if turn % 2 == 0 else reversed(names):
            dbt = self._versions[name]
            cost = dbt.run()
            self.costs.setdefault(case, {}).setdefault(name, []).append(asdict(cost))
            self._note(dbt.database, case, cost)

    def _sizes(self) -> dict[str, dict[str, int]]:
        """Bytes of each rollup of each version, indexes included."""
        return {name: self._rollups(dbt.database) for name, dbt in self._versions.items()}

    @staticmethod
    def _rollups(database: LogDatabase) -> dict[str, int]:
        with database.connect() as connection:
            return {name: size for _, name, size in connection.execute(ROLLUPS)}

    def _bytes_of_new_columns(self) -> dict[str, int]:
        """Bytes of the new columns per rollup, in a copy written at once; 0 if the other version has them."""
        with self._versions["before"].database.connect() as connection:
            known = connection.execute("select attname from pg_attribute where attname = any(%s)", [list(NEW_COLUMNS)])
            if known.rowcount:
                return {}
        with self._versions["now"].database.connect() as connection:
            return {
                name: bytes_of_columns(connection, table, NEW_COLUMNS)
                for table, name, _ in connection.execute(ROLLUPS).fetchall()
            }

    def _differing_reports(self) -> list[str]:
        """The reports that differ between the versions, in the columns and periods that both have."""
        with self._versions["before"].database.connect() as before, self._versions["now"].database.connect() as now:
            return [report for report in REPORTS if differ(before, now, report)]


def bytes_of_columns(connection: psycopg.Connection, table: str, columns: set[str]) -> int:
    """The bytes by which a copy of the table is smaller without the columns."""
    header = connection.execute(f"select * from {table} limit 0").description or []
    copied = {"whole": [c.name for c in header], "less": [c.name for c in header if c.name not in columns]}
    sizes: dict[str, int] = {}
    with connection.transaction(force_rollback=True):
        for name, kept in copied.items():
            connection.execute(
                f"create table public.{name} with (fillfactor = 80) as select {', '.join(kept)} from {table}"
            )
            (sizes[name],) = connection.execute("select pg_relation_size(%s)", [f"public.{name}"]).fetchone() or (0,)
    return sizes["whole"] - sizes["less"]


def differ(before: psycopg.Connection, now: psycopg.Connection, report: str) -> bool:
    """Whether a report differs between two databases by more than rounding."""
    headers = [c.execute(f"select * from chat_reports.{report} limit 0").description or [] for c in (before, now)]
    columns = set.intersection(*[{column.name for column in header} for header in headers])
    numbers = columns & {column.name for header in headers for column in header if column.type_display in NUMBERS}
    keys = sorted(columns - numbers)
    shown = [*(f"{name}::text" for name in keys), *(f"{name}::float8" for name in sorted(numbers))]
    periods = "where period in ('day', 'last_7_days', 'last_30_days')" if "period" in columns else ""
    query = f"select {', '.join(shown)} from chat_reports.{report} {periods}"
    found = [{row[: len(keys)]: row[len(keys) :] for row in connection.execute(query)} for connection in (before, now)]
    return found[0].keys() != found[1].keys() or any(
        not same(a, b) for key in found[0] for a, b in zip(found[0][key], found[1][key], strict=True)
    )


def same(a: float | None, b: float | None) -> bool:
    """Whether two numbers are equal except for rounding, or both missing."""
    return a == b if a is None or b is None else math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-10)


@contextmanager
def without_autovacuum(server: EmbeddedPostgres) -> Iterator[None]:
    """Turn autovacuum off, so that no run pays for the vacuum of another one. Tables are vacuumed between runs."""
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        connection.execute("alter system set autovacuum = off")
        connection.execute("select pg_reload_conf()")
        while connection.execute("select from pg_stat_activity where backend_type like 'autovacuum%'").rowcount:
            time.sleep(0.1)
        try:
            yield
        finally:
            connection.execute("alter system reset autovacuum")
            connection.execute("select pg_reload_conf()")
