"""Measures what a cycle of `run --every` costs beside a fresh `dbt run`, and its memory over many cycles.

Run `make bench-run`. Each cycle counts one new chat request and refreshes the seven reports. A kept dbt should take at
most 0.4 of the CPU time of a fresh one, and its memory should stay flat.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path

import psycopg
from psycopg import sql

from benchmarks.tables import bytes_in_words, spread, table
from chat_telemetry._cli.dbt_connection import DbtConnection
from chat_telemetry._cli.dbt_runner import DbtProcess
from chat_telemetry._cli.embedded_postgres import EmbeddedPostgres
from chat_telemetry._cli.migrations import apply_migrations
from chat_telemetry._cli.run.state import read_state

TARGET = 0.4
PASSWORD = "benchmark"  # noqa: S105  # of a server that listens here only, and is deleted
ASK = "insert into public.chat_telemetry_log (user_id, user_question) select id, 'How many?' from auth.users"
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=1000, help="cycles of the kept dbt")
    parser.add_argument("--fresh", type=int, default=10, help="fresh runs, spread over the cycles")
    return parser.parse_args()


def ended_cpu() -> float:
    """CPU seconds of all child processes that ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Bench:
    """A server, and both ways to run dbt on it."""

    def __init__(self, server: EmbeddedPostgres, files: Path) -> None:
        apply_migrations(server.conninfo())
        self.connection = psycopg.connect(server.conninfo(), autocommit=True)
        login = sql.SQL("alter role telemetry_transformer login password {}").format(sql.Literal(PASSWORD))
        self.connection.execute(login)
        self.connection.execute("insert into auth.users default values")
        url = f"postgresql://telemetry_transformer:{PASSWORD}@127.0.0.1:{server.port}/postgres"
        self._environment = DbtConnection.from_environment({"CHAT_TELEMETRY_DBT_URL": url}).environment()
        self._files = files
        self.kept = self._start()
        self.kept.run("seed")
        self.kept.run("run")

    def _start(self) -> DbtProcess:
        return DbtProcess(self._files, environment=self._environment)

    def fresh_cpu(self) -> float:
        """CPU seconds of a dbt that starts, runs and ends."""
        self.connection.execute(ASK)
        before = ended_cpu()
        with self._start() as dbt:
            dbt.run("run")
        return ended_cpu() - before

    def kept_cpu(self) -> float:
        """CPU seconds of a run of the kept dbt, which may start its child again."""
        self.connection.execute(ASK)
        before = ended_cpu() + self._child_cpu()
        self.kept.run("run")
        return ended_cpu() + self._child_cpu() - before

    def kept_bytes(self) -> int:
        return PAGE * int(Path(f"/proc/{self.kept.pid}/statm").read_text().split()[1])

    def _child_cpu(self) -> float:
        fields = Path(f"/proc/{self.kept.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:13])) / TICKS

    def state_ms(self) -> float:
        """Milliseconds of the query that finds out whether anything changed."""
        start = time.perf_counter()
        read_state(self.connection)
        return 1000 * (time.perf_counter() - start)


def main() -> None:
    options = read_options()
    with tempfile.TemporaryDirectory(prefix="bench-run-") as directory:
        server = EmbeddedPostgres(Path(directory) / "server", version=18)
        server.start()
        try:
            measure(Bench(server, Path(directory)), options.cycles, options.fresh)
        finally:
            server.stop("immediate")


def measure(bench: Bench, cycles: int, fresh_runs: int) -> None:
    fresh: list[float] = []
    kept: list[float] = []
    memory: dict[int, int] = {}
    marks = {1, 10, 100, cycles // 2, cycles}
    with bench.kept:
        for cycle in range(1, cycles + 1):
            if len(fresh) * cycles < fresh_runs * cycle:
                fresh.append(bench.fresh_cpu())
            kept.append(bench.kept_cpu())
            if cycle in marks:
                memory[cycle] = bench.kept_bytes()
        states = [bench.state_ms() for _ in range(20)]
    tenth = max(1, cycles // 10)
    kinds = {
        "fresh dbt": fresh,
        "kept dbt": kept,
        "kept dbt, the first tenth": kept[:tenth],
        "kept dbt, the last tenth": kept[-tenth:],
    }
    rows = [[kind, spread(times), *_mean(times, fresh)] for kind, times in kinds.items()]
    header = ["", "median and range (s)", "mean (s)", f"ratio of the means [{TARGET}]"]
    print(table(f"CPU time of a run with one new request, {cycles:,} cycles", header, rows))
    sizes = [[f"{cycle:,}", bytes_in_words(size)] for cycle, size in sorted(memory.items())]
    print(table("Memory of the kept dbt", ["after cycles", "resident"], sizes))
    print(table("The query whether anything changed", ["", "ms"], [["20 times", spread(states)]]))


def _mean(times: list[float], fresh: list[float]) -> tuple[str, str]:
    """A kept dbt parses the project again now and then, which a median does not show."""
    mean = statistics.fmean(times)
    part = mean / statistics.fmean(fresh)
    return f"{mean:.2f}", f"{part:.2f}{' missed' if times is not fresh and part > TARGET else ''}"


if __name__ == "__main__":
    main()
