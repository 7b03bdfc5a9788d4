"""Measures a distributed log beside a plain one on the same cluster: the loader, the step itself, and runs of dbt.

Run `make bench-citus` with CHAT_TELEMETRY_TEST_CITUS_URL, which names the coordinator. The plain database is one of the
coordinator, so both have the same server, disk and settings. The cases of the loader take turns.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg

from benchmarks.loader import sample
from benchmarks.reports.log_database import HISTORY, NEW, REQUESTS
from benchmarks.tables import bytes_in_words, spread, table
from chat_telemetry import TelemetryRecord
from chat_telemetry._delivery.store import Store
from chat_telemetry._encoding import encode
from tests.citus.server import DISTRIBUTE, CitusServer, distribute, go_back, run_psql, succeed
from tests.conftest import Database
from tests.dbt_project import DbtProject

BATCHES = {1: 300, 100: 60, 500: 30}
"""How many batches of each size are inserted in a round."""
ROUNDS = 3
SHARDS = (8, 32)
USERS = "insert into auth.users (id) select md5('user' || n)::uuid from generate_series(1, 5001) as n"
SHARD_COUNT = "select shard_count from citus_tables where table_name = 'public.chat_telemetry_log'::regclass"
LOG_BYTES = "select pg_total_relation_size('public.chat_telemetry_log')"


@contextmanager
def temporary(server: CitusServer, template: str) -> Iterator[Database]:
    database = server.create_database(template)
    try:
        yield database
    finally:
        server.drop_database(database.name)


def batches(size: int, count: int, user: object) -> list[list[bytes]]:
    values = {**sample.columns(1), "user_id": user, "conversation_id": None, "error_type": None, "failed_step": None}
    return [[encode(TelemetryRecord(**values)) for _ in range(size)] for _ in range(count)]


def rows_per_second(conninfo: str, size: int, user: object) -> float:
    """Of one connection of the loader."""
    made = batches(size, BATCHES[size], user)
    store = Store(conninfo)
    store.insert(batches(1, 1, user)[0])
    start = time.perf_counter()
    for batch in made:
        store.insert(batch)
    seconds = time.perf_counter() - start
    store.close()
    return size * len(made) / seconds


def loader(server: CitusServer) -> str:
    with ExitStack() as stack:

        def new(template: str) -> Database:
            return stack.enter_context(temporary(server, template))

        databases = {"plain": new(server.migrated()), "one shard a worker": new(server.template())}
        for shards in SHARDS:
            databases[f"{shards} shards"] = new(server.migrated())
            distribute_into(shards, databases[f"{shards} shards"].conninfo)
        cases = {name: (database.conninfo, database.add_users()[0]) for name, database in databases.items()}
        if server.workers:
            _, user = cases["one shard a worker"]
            cases["one shard a worker, by a worker"] = server.nodes(databases["one shard a worker"].name)[1], user
        measured: dict[tuple[str, int], list[float]] = {}
        for _ in range(ROUNDS):
            for size in BATCHES:
                for name, (conninfo, user) in cases.items():
                    measured.setdefault((name, size), []).append(rows_per_second(conninfo, size, user))
    return table(
        f"Rows a second through one connection of the loader, median of {ROUNDS} rounds",
        ["log", *(f"batches of {size}" for size in BATCHES)],
        [[name, *(f"{statistics.median(measured[name, size]):,.0f}" for size in BATCHES)] for name in cases],
    )


def distribute_into(shards: int, conninfo: str) -> None:
    """As distribute.sql does, but with another number of shards."""
    with tempfile.TemporaryDirectory() as directory:
        for path in DISTRIBUTE.parent.iterdir():
            text = path.read_text(encoding="utf-8").replace("pg_catalog.count(*)::text, true", f"'{shards}', true")
            (Path(directory) / path.name).write_text(text, encoding="utf-8")
        succeed(run_psql(Path(directory) / DISTRIBUTE.name, conninfo))
    with psycopg.connect(conninfo) as connection:
        if connection.execute(SHARD_COUNT).fetchall() != [(shards,)]:
            raise ValueError("distribute.sql computes the number of shards in another way now")


def runs(server: CitusServer, rows: int) -> str:
    """The step on a filled log, and runs of dbt on both kinds of log."""
    with temporary(server, server.migrated()) as filled:
        with filled.connect() as connection:
            connection.execute(USERS)
            for first in range(1, rows + 1, 100_000):
                last = min(first + 99_999, rows)
                numbers = {"rows": rows, "rows_per_day": 14_000, "first": first, "last": last}
                connection.execute(REQUESTS.replace("%", "%%").replace("{requests}", HISTORY), numbers)
            connection.execute("vacuum analyze public.chat_telemetry_log")
            (size,) = connection.execute(LOG_BYTES).fetchall()
        with temporary(server, filled.name) as other:
            start = time.perf_counter()
            distribute(other.conninfo)
            step = time.perf_counter() - start
            seconds = {name: run_cases(database) for name, database in (("plain", filled), ("distributed", other))}
            start = time.perf_counter()
            go_back(other.conninfo)
            back = time.perf_counter() - start
    words = f"{rows:,} rows, {bytes_in_words(size[0])}"
    return f"The step on {words}: {step:.1f} s; back: {back:.1f} s\n\n" + table(
        f"Seconds of a run of dbt on {words}",
        ["", *seconds],
        [[case, *(spread(of_log[case]) for of_log in seconds.values())] for case in seconds["plain"]],
    )


def run_cases(database: Database) -> dict[str, list[float]]:
    measured: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        project = DbtProject(database, Path(scratch))
        project.run("seed")
        project.run("parse")

        def run(case: str, *arguments: str) -> None:
            start = time.perf_counter()
            project.run("run", *arguments)
            measured.setdefault(case, []).append(time.perf_counter() - start)

        run("the first run")
        for _ in range(3):
            with database.connect() as connection:
                connection.execute(REQUESTS.replace("%", "%%").replace("{requests}", NEW), {"rows": 1_000})
            run("1,000 new rows")
        for _ in range(3):
            run("nothing new")
        run("full refresh", "--full-refresh")
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["loader", "runs"], help="a part; default: both")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the log that dbt counts")
    options = parser.parse_args()
    url = os.environ.get("CHAT_TELEMETRY_TEST_CITUS_URL")
    if not url:
        parser.error(
            "CHAT_TELEMETRY_TEST_CITUS_URL names no coordinator: docs/development.md says how to get a cluster"
        )
    server = CitusServer(url)
    try:
        if options.only != "runs":
            print(loader(server), flush=True)
        if options.only != "loader":
            print(runs(server, options.rows), flush=True)
    finally:
        server.drop_templates()


if __name__ == "__main__":
    main()
