"""Measures the cost of a dbt run, the waiting of its readers and its storage, compared with plain materialized views.

Run `make bench-reports`, or a part of it on fewer rows:

    make bench-reports BENCH="--rows 50000 500000 --repetitions 3"
    git worktree add ../before COMMIT && make bench-reports BENCH="--only before --before ../before --rows 500000"

The databases of all sizes are in one server, and the runs that are compared take turns.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.reports.benchmark import PARTS, ReportsBenchmark
from benchmarks.reports.tables import result_tables
from chat_telemetry._cli.embedded_postgres import EmbeddedPostgres

BYTES_PER_ROW = 2_500  # of disk, with indexes, write-ahead log and dead rows of the load
SETTINGS = {"shared_buffers": "1GB", "max_wal_size": "4GB", "max_connections": "50"}


def machine() -> dict[str, Any]:
    """The machine and the server on which the figures were measured."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpus": os.cpu_count(),
        "memory_gb": round(memory / 1e9, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "settings": SETTINGS,
        "load": os.getloadavg(),
    }


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--rows", type=int, nargs="+", default=[500_000, 5_000_000], help="sizes of the log")
    parser.add_argument("--repetitions", type=int, default=5, help="runs of each case")
    parser.add_argument(
        "--plain-repetitions", type=int, default=3, help="runs of the plain views; the first one makes them"
    )
    parser.add_argument(
        "--batch-pairs", type=int, default=400, help="pairs of batches; of single inserts ten times that"
    )
    parser.add_argument("--late-rows", type=int, default=100_000, help="requests that come late, at once")
    parser.add_argument("--busy-day-rows", type=int, default=1_000_000, help="requests of the busy day")
    parser.add_argument("--idle-seconds", type=float, default=10, help="how long readers are watched without a run")
    parser.add_argument(
        "--before",
        type=Path,
        metavar="DIRECTORY",
        help="a checkout of another version, which is only read: the part `before` compares this version with it",
    )
    parser.add_argument("--directory", type=Path, help="of the server, to keep it filled (default: a temporary one)")
    parser.add_argument("--output", type=Path, default=Path("bench-reports.json"), help="the figures as JSON")
    options = parser.parse_args()
    options.only = options.only or [part for part in PARTS if part != "before" or options.before]
    if "before" in options.only and not options.before:
        parser.error("the part `before` needs --before DIRECTORY")
    options.before = options.before and options.before.resolve()
    return options


def bytes_needed(options: argparse.Namespace) -> int:
    """The disk space that is needed."""
    per_size = 2 if "before" in options.only else 1
    rows = per_size * sum(options.rows) + ("busy_day" in options.only) * options.busy_day_rows
    return int(BYTES_PER_ROW * rows)


@contextmanager
def directory_of(options: argparse.Namespace) -> Iterator[Path]:
    """The directory of the option, or one that is deleted afterwards. Exits if the disk space is not enough."""
    directory = (options.directory or Path(tempfile.mkdtemp(prefix="bench-reports-"))).resolve()
    directory.mkdir(parents=True, exist_ok=True)
    try:
        needed, free = bytes_needed(options), shutil.disk_usage(directory).free
        if free < needed:
            sys.exit(f"{directory} has {free / 1e9:.0f} GB free, {needed / 1e9:.0f} GB are needed: see --directory")
        yield directory
    finally:
        if not options.directory:
            shutil.rmtree(directory)


def main() -> None:
    options = read_options()
    with directory_of(options) as directory:
        server = EmbeddedPostgres(directory, version=18, settings=SETTINGS)
        server.start()
        try:
            results = ReportsBenchmark(server, directory, options, machine()).run()
        finally:
            server.stop("immediate")
    print(result_tables(results))


if __name__ == "__main__":
    main()
