"""Measures what the change feed adds to an insert: the same rows go into the log and into a copy without the feed.

The comparison is statement by statement, because on a busy machine two blocks of statements differ by more than the
feed costs.
"""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import dataclass
from typing import Any

import psycopg

from benchmarks.reports.log_database import LogDatabase

LOG = "public.chat_telemetry_log"
TWIN = "public.log_without_feed"
MAKE_TWIN = f"""
    create table {TWIN} (like {LOG} including all);
    alter table {TWIN}
        add foreign key (user_id) references auth.users (id) on delete cascade,
        add foreign key (conversation_id) references public.chat_conversations (conversation_id) on delete set null;
    create trigger trg_compute_sql_fingerprint
    before insert or update of generated_sql, sql_fingerprint on {TWIN}
    for each row execute function public.compute_sql_fingerprint();
"""
# One statement per batch of JSON lines, like the loader.
INSERT = f"insert into {{table}} select * from json_populate_recordset(null::{LOG}, %s) on conflict do nothing"


@dataclass(frozen=True)
class FeedCost:
    """Medians over all pairs of statements."""

    rows_per_statement: int
    waits_for_disk: bool
    pairs: int
    without_feed_ms: float
    with_feed_ms: float
    overhead: float
    """Median of the ratios of the pairs, less 1."""


def measure_feed_cost(database: LogDatabase, rows_per_statement: int, pairs: int, waits_for_disk: bool) -> FeedCost:
    """Time `pairs` pairs of committed statements. Without waiting for the disk, the share of the feed is largest."""
    with database.connect() as connection:
        connection.execute(f"set synchronous_commit = {'on' if waits_for_disk else 'off'}")
        if connection.execute("select to_regclass(%s)", [TWIN]).fetchone() == (None,):
            connection.execute(MAKE_TWIN)
        lines = _lines(connection, rows_per_statement)
        times = [_time_pair(connection, lines, first_is_log=n % 2 == 0) for n in range(pairs + pairs // 10)]
        times = times[pairs // 10 :]  # the first tenth fills caches
    return FeedCost(
        rows_per_statement=rows_per_statement,
        waits_for_disk=waits_for_disk,
        pairs=pairs,
        without_feed_ms=statistics.median(without for _, without in times) * 1000,
        with_feed_ms=statistics.median(fed for fed, _ in times) * 1000,
        overhead=statistics.median(fed / without for fed, without in times) - 1,
    )


def _lines(connection: psycopg.Connection, count: int) -> list[dict[str, Any]]:
    rows = connection.execute(f"select to_json(log) from {LOG} as log limit %s", [count])
    return [row[0] for row in rows]


def _time_pair(connection: psycopg.Connection, lines: list[dict[str, Any]], first_is_log: bool) -> tuple[float, float]:
    """Seconds with and without the feed, for the same rows under new keys."""
    keys = connection.execute("select uuidv7()::text from generate_series(1, %s)", [len(lines)]).fetchall()
    batch = json.dumps([{**line, "log_id": key} for line, (key,) in zip(lines, keys, strict=True)])
    seconds = {}
    for table in (LOG, TWIN) if first_is_log else (TWIN, LOG):
        started = time.perf_counter()
        connection.execute(INSERT.format(table=table), [batch])
        seconds[table] = time.perf_counter() - started
    return seconds[LOG], seconds[TWIN]
