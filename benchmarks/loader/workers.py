"""Measurements that need a separate process. Each prints its figures as JSON.

python -m benchmarks.loader.workers deliver WAY COUNT CONNINFO
python -m benchmarks.loader.workers parts CONNINFO
python -m benchmarks.loader.workers heartbeat SECONDS PAIRS CONNINFO
python -m benchmarks.loader.workers outage SECONDS RATE journal|memory
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import psycopg
from chat_telemetry._limits import has_long_name

from benchmarks.loader.sample import columns
from benchmarks.loader.ways_to_postgres import INSERT, insert_values
from chat_telemetry import TelemetryClient, TelemetryRecord
from chat_telemetry._delivery.queue import LineQueue
from chat_telemetry._delivery.store import Store
from chat_telemetry._encoding import encode
from chat_telemetry._record import new_key
from chat_telemetry._settings import Settings

BATCH = 500
DIFFERENT = 1000
PARTS_REPEATED = 50
HEARTBEAT_S = 0.001
RECORDS_PER_HEARTBEAT = 2
NO_DATABASE = "host=127.0.0.1 port=1 user=nobody"


def deliver(way: str, count: str, conninfo: str) -> None:
    """Seconds and CPU seconds of this process, with all threads, from the first record until the last one is stored."""
    deliveries: dict[str, Callable[[list[dict[str, Any]], str], None]] = {
        "executemany": _deliver_with_executemany,
        "memory": _deliver,
        "journal": _deliver_by_journal,
    }
    # The same few requests again and again: they stay in the processor's cache, like values that were just created.
    few = [columns(number) for number in range(min(DIFFERENT, int(count)))]
    requests = list(islice(cycle(few), int(count)))
    started, cpu_started = time.perf_counter(), time.process_time()
    deliveries[way](requests, conninfo)
    _print({"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - cpu_started})


def parts(conninfo: str) -> None:
    """Microseconds of CPU time per record for each part of its delivery: the minimum of many runs."""
    logging.disable()  # the client without a database logs warnings
    requests = [columns(number) for number in range(BATCH)]
    records = [TelemetryRecord(**request) for request in requests]
    store = Store(conninfo)

    def new_lines() -> list[bytes]:
        # With new keys, because lines with the same keys would be duplicates.
        return [encode(TelemetryRecord(**request)) for request in requests]

    def put() -> float:
        queue, lines = LineQueue(Settings()), new_lines()
        return _cpu_of(lambda: [queue.put(line) for line in lines])

    def persist() -> float:
        with TelemetryClient(NO_DATABASE) as client:
            seconds = _cpu_of(lambda: [client.persist(record) for record in records])
            client.close(timeout=0)
        return seconds

    def send() -> float:
        lines = new_lines()
        return _cpu_of(lambda: store.insert(lines))

    measured: dict[str, Callable[[], float]] = {
        "creating the record": lambda: _cpu_of(lambda: [TelemetryRecord(**request) for request in requests]),
        "  its key, a UUIDv7": lambda: _cpu_of(lambda: [new_key() for _ in requests]),
        "the call": persist,
        "  encoding": lambda: _cpu_of(lambda: [encode(record) for record in records]),
        "  looking for long names": lambda: _cpu_of(lambda: [has_long_name(record, 500) for record in records]),
        "  the queue": put,
        "sending, in the thread": send,
    }
    _print({part: min(measure() for _ in range(PARTS_REPEATED)) * 1e6 / BATCH for part, measure in measured.items()})


def heartbeat(seconds: str, pairs: str, conninfo: str) -> None:
    """The 99th percentile of the delay of a heartbeat in milliseconds, in turns without and with telemetry."""

    async def beat(each: Callable[[int], None]) -> float:
        late = []
        for number in range(int(float(seconds) / HEARTBEAT_S)):
            due = time.perf_counter() + HEARTBEAT_S
            await asyncio.sleep(HEARTBEAT_S)
            late.append(1000 * (time.perf_counter() - due))
            each(number)
        return statistics.quantiles(late, n=100)[98]

    def persist(number: int) -> None:
        for _ in range(RECORDS_PER_HEARTBEAT):
            client.persist(TelemetryRecord(**columns(number)))

    figures: dict[str, list[float]] = {"without": [], "with": []}
    with TelemetryClient(conninfo) as client:
        for _ in range(int(pairs)):
            figures["without"].append(asyncio.run(beat(lambda _: None)))
            figures["with"].append(asyncio.run(beat(persist)))
            client.flush(30)
        figures["accepted"] = [client.stats().accepted]
    _print(figures)


def outage(seconds: str, rate: str, way: str) -> None:
    """Resident memory before an outage and its peak during it, in megabytes, and the counts of records."""
    journal_dir = tempfile.mkdtemp(prefix="chat-telemetry-journal-") if way == "journal" else None
    client = TelemetryClient(NO_DATABASE, journal_dir=journal_dir)
    client.persist(TelemetryRecord(**columns(0)))
    before = peak = _resident_mb()
    started = time.perf_counter()
    count = 0
    while (elapsed := time.perf_counter() - started) < float(seconds):
        while count < elapsed * float(rate):
            client.persist(TelemetryRecord(**columns(count)))
            count += 1
        peak = max(peak, _resident_mb())
        time.sleep(0.01)
    stats = client.stats()
    _print({"before_mb": before, "peak_mb": peak, "accepted": stats.accepted, "dropped": stats.dropped})


def _deliver(requests: list[dict[str, Any]], conninfo: str, journal_dir: str | None = None) -> None:
    """With the default queue. The application waits for the database whenever the queue is half full."""
    half = Settings.max_queue_records // 2
    with TelemetryClient(conninfo, journal_dir=journal_dir) as client:
        for start in range(0, len(requests), half):
            for request in requests[start : start + half]:
                client.persist(TelemetryRecord(**request))
            client.flush(600)
        if client.stats().stored != len(requests):
            raise SystemExit(f"not everything was delivered: {client.stats()}")


def _deliver_by_journal(requests: list[dict[str, Any]], conninfo: str) -> None:
    _deliver(requests, conninfo, tempfile.mkdtemp(prefix="chat-telemetry-journal-"))


def _deliver_with_executemany(requests: list[dict[str, Any]], conninfo: str) -> None:
    with psycopg.connect(conninfo, autocommit=True) as connection, connection.cursor() as cursor:
        for start in range(0, len(requests), BATCH):
            with connection.transaction():
                values = [insert_values(request) for request in requests[start : start + BATCH]]
                cursor.executemany(INSERT, values)


def _cpu_of(work: Callable[[], object]) -> float:
    started = time.thread_time()
    work()
    return time.thread_time() - started


def _resident_mb() -> float:
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def _print(figures: object) -> None:
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
    # Only an outage leaves records, and no database will accept them.
    os._exit(0)
