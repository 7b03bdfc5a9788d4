"""Measures what grows with the traffic, for the formulas of docs/scaling.md.

Run `make bench-scaling`. Each log has seven days with the same number of requests, and a tenth as many users, of whom
each asks ten times a day. `daily_users` is copied to thirty days, so that `user_usage` reads what it would read then.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benchmarks.reports.__main__ import SETTINGS
from benchmarks.reports.dbt_runs import Dbt, server_cpu
from benchmarks.reports.log_database import LogDatabase
from benchmarks.tables import table
from chat_telemetry._cli.embedded_postgres import EmbeddedPostgres

DAYS, REQUESTS_OF_A_USER = 7, 10
PEOPLE = "insert into auth.users select md5('person' || n)::uuid from generate_series(0, %s) as n"
REQUESTS = f"""
    select
        md5('person' || number / {REQUESTS_OF_A_USER} %% (%(rows_per_day)s / {REQUESTS_OF_A_USER}))::uuid as user_id,
        now() - (%(rows)s - number) * interval '1 day' / %(rows_per_day)s as created_at
    from generate_series(%(first)s, %(last)s) as number
"""
TO_THIRTY_DAYS = """
    do $$
    declare
        columns text;
        last date;
    begin
        select string_agg(quote_ident(attname), ', ') into columns
        from pg_attribute
        where attrelid = 'chat_rollups.daily_users'::regclass and attnum > 0 and not attisdropped and attname <> 'day';
        select max(day) - 1 into last from chat_rollups.daily_users; -- a whole day
        execute format(
            'insert into chat_rollups.daily_users (day, %1$s)'
            ' select o.day, %1$s from chat_rollups.daily_users as d'
            ' cross join generate_series(%2$L::date - 28, %2$L::date - 7, interval ''1 day'') as o (day)'
            ' where d.day = %2$L', columns, last
        );
    end
    $$
"""
FEW, MANY = 1_000, 50_000
"""New requests of two runs, of which the difference is what the others cost."""


@dataclass(frozen=True)
class Costs:
    """CPU seconds of the server, and the rows that caused them."""

    rows_per_day: int
    rows: int
    first_run: float
    few: float
    many: float
    daily_users: int
    durations_a_day: int
    reports: dict[str, float]

    def in_words(self) -> list[str]:
        patterns, users = self.reports["sql_patterns"], self.reports["user_usage"]
        return [
            f"{self.rows_per_day:,}",
            f"{self.first_run:.1f}, {1e6 * self.first_run / self.rows:.1f} µs",
            f"{self.few:.2f}",
            f"{1e6 * (self.many - self.few) / (MANY - FEW):.1f} µs",
            f"{patterns:.2f}, {1e6 * patterns / self.rows:.1f} µs",
            f"{self.daily_users:,}",
            f"{users:.2f}, {1e6 * users / self.daily_users:.1f} µs",
            f"{self.durations_a_day:,}",
        ]


HEADER = [
    "requests a day",
    "the first run, a request",
    f"a run, {FEW:,} new rows",
    "each row more",
    "`sql_patterns`, a request of 7 days",
    "`daily_users`, rows of 30 days",
    "`user_usage`, a row of them",
    "`daily_durations`, rows a day",
]


def costs_of(server: EmbeddedPostgres, rows_per_day: int, scratch: Path) -> Costs:
    database = LogDatabase(server, f"a_day_{rows_per_day}", DAYS * rows_per_day, rows_per_day)
    database.create()
    with database.connect() as connection:
        connection.execute(PEOPLE, [rows_per_day // REQUESTS_OF_A_USER])
    database.fill(lambda rows: print(f"{database.name}: {rows:,} rows", end="\r", flush=True), REQUESTS)
    print()
    ours = Dbt(server, database, "reports", scratch)
    ours.run("seed")
    first_run = ours.run().server_cpu_s
    with database.connect() as connection:
        durations = _number(connection, "select count(*) / count(distinct day) from chat_rollups.daily_durations")
        connection.execute(TO_THIRTY_DAYS)
        daily_users = _number(connection, "select count(*) from chat_rollups.daily_users where day > current_date - 30")
    added: dict[int, float] = {}
    for rows in (FEW, FEW, MANY):  # the first one also reads for the first time what was copied
        database.add_new(rows)
        database.tidy()
        added[rows] = ours.run().server_cpu_s
    with database.connect() as connection:
        reports = {report: _refresh(server, connection, report) for report in ("sql_patterns", "user_usage")}
    return Costs(rows_per_day, database.rows, first_run, added[FEW], added[MANY], daily_users, durations, reports)


def _number(connection: psycopg.Connection, query: str) -> int:
    ((number,),) = connection.execute(query).fetchall()
    return int(number)


def _refresh(server: EmbeddedPostgres, connection: psycopg.Connection, report: str) -> float:
    measured = []
    for _ in range(3):
        cpu = server_cpu(server)
        connection.execute(f"refresh materialized view concurrently chat_reports.{report}")
        measured.append(server_cpu(server) - cpu)
    return statistics.median(measured)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--requests", type=int, nargs="+", default=[20_000, 100_000, 400_000], help="a day, of each log"
    )
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="bench-scaling-"))
    server = EmbeddedPostgres(directory / "server", version=18, settings=SETTINGS)
    server.start()
    try:
        measured = [costs_of(server, requests, directory) for requests in options.requests]
    finally:
        server.stop("immediate")
        shutil.rmtree(directory)
    print(table("CPU seconds of the server", HEADER, [costs.in_words() for costs in measured]))


if __name__ == "__main__":
    main()
