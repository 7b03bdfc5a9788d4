"""Seven readers, one per report, who measure their slowest read."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg

from benchmarks.reports.dbt_runs import PLAIN_VIEWS
from chat_telemetry._cli import report

# A report that has no plain view is not compared.
REPORTS = tuple(name for name in report.REPORTS if (PLAIN_VIEWS / "models" / f"{name}.sql").exists())
PAUSE_S = 0.02
STATEMENT_TIMEOUT_S = 300


@dataclass
class Reading:
    """The reads of one reader."""

    reads: int = 0
    worst_ms: float = 0.0
    empty_reads: int = 0
    errors: list[str] = field(default_factory=list)


@contextmanager
def seven_readers(conninfo: str, schema: str) -> Iterator[dict[str, Reading]]:
    """Read each report of `schema` again and again while the block runs. The results are complete when it ends."""
    readings = {report: Reading() for report in REPORTS}
    done = threading.Event()
    threads = [
        threading.Thread(target=_read, args=(conninfo, f"{schema}.{report}", reading, done), daemon=True)
        for report, reading in readings.items()
    ]
    for thread in threads:
        thread.start()
    try:
        yield readings
    finally:
        done.set()
        for thread in threads:
            thread.join(STATEMENT_TIMEOUT_S)


def _read(conninfo: str, report: str, reading: Reading, done: threading.Event) -> None:
    # The server reads every column of every row and sends one number, so that this process does not time itself.
    query = f"select count(report::text) from {report} as report"
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(f"set statement_timeout = '{STATEMENT_TIMEOUT_S}s'")
        while not done.wait(PAUSE_S):
            started = time.perf_counter()
            try:
                row = connection.execute(query).fetchone()
            except psycopg.Error as error:
                reading.errors.append(str(error))
                continue
            reading.reads += 1
            reading.empty_reads += row == (0,)
            reading.worst_ms = max(reading.worst_ms, (time.perf_counter() - started) * 1000)
