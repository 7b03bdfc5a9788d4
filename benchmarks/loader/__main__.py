"""What the loader costs a chat application, compared with other ways. The contenders take turns in one run.

Run `make bench`, or a part of it: `make bench BENCH="--only delivery heartbeat"`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from msgspec.structs import astuple

from benchmarks.loader.contenders import CONTENDERS, PEERS
from benchmarks.loader.sample import CONVERSATION_ID, USER_ID, columns
from benchmarks.loader.tables import loader_tables
from benchmarks.loader.workers import NO_DATABASE
from chat_telemetry import TelemetryRecord
from chat_telemetry._cli.embedded_postgres import EmbeddedPostgres
from chat_telemetry._cli.migrations import apply_migrations
from chat_telemetry._record import COLUMNS

ROOT = Path(__file__).parents[2]
NO_COLLECTOR = "http://127.0.0.1:1"
WAYS = ("memory", "journal", "executemany")


class LoaderBenchmark:
    """One server, and the results that were measured on it."""

    def __init__(self, server: EmbeddedPostgres, options: argparse.Namespace) -> None:
        self.options = options
        self.results: dict[str, Any] = {"machine": machine(), "options": {k: str(v) for k, v in vars(options).items()}}
        self._server = server
        self._conninfo = server.conninfo("bench", "chat_app")
        self._started = time.perf_counter()

    def run(self) -> dict[str, Any]:
        """Run the chosen measurements, and return the results for `loader_tables`."""
        self._set_up()
        for name in self.options.only:
            print(f"[{time.perf_counter() - self._started:4.0f} s] {name}", file=sys.stderr)
            self.results[name] = MEASUREMENTS[name](self)
            self.options.output.write_text(json.dumps(self.results, indent=1))
        return self.results

    def _set_up(self) -> None:
        apply_migrations(self._server.conninfo("bench"))
        with psycopg.connect(self._server.conninfo("bench"), autocommit=True) as connection:
            connection.execute("create role chat_app login in role service_role")
            connection.execute("insert into auth.users (id) values (%s)", [USER_ID])
            connection.execute(
                "insert into public.chat_conversations (conversation_id, user_id) values (%s, %s)",
                [CONVERSATION_ID, USER_ID],
            )

    def calls_up(self) -> dict[str, dict[str, list[float]]]:
        """The calls of all contenders while every receiver runs."""
        with collector() as endpoint:
            return self._calls(self._conninfo, endpoint)

    def calls_down(self) -> dict[str, dict[str, list[float]]]:
        """The calls of all contenders while no receiver runs."""
        return self._calls(NO_DATABASE, NO_COLLECTOR)

    def _calls(self, conninfo: str, endpoint: str) -> dict[str, dict[str, list[float]]]:
        """For each contender, the median and the 99th percentile of each round, in microseconds."""
        targets = {name: endpoint if name in PEERS else conninfo for name in CONTENDERS}
        if not self.options.peers_python:
            targets = {name: target for name, target in targets.items() if name not in PEERS}
        figures: dict[str, dict[str, list[float]]] = {name: {"p50_us": [], "p99_us": []} for name in targets}
        with ExitStack() as stack:
            workers = {name: stack.enter_context(self._calling(name, target)) for name, target in targets.items()}
            for turn in range(self.options.rounds + 1):
                for name, worker in workers.items():
                    durations = json.loads(ask(worker, self.options.calls))
                    if turn:  # the first one is a warm-up
                        cuts = statistics.quantiles(durations, n=100)
                        figures[name]["p50_us"].append(cuts[49] / 1000)
                        figures[name]["p99_us"].append(cuts[98] / 1000)
        return figures

    @contextmanager
    def _calling(self, name: str, target: str) -> Iterator[subprocess.Popen[str]]:
        python = self.options.peers_python if name in PEERS else sys.executable
        worker = subprocess.Popen(
            [python, "-m", "benchmarks.loader.call_worker", name, target],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            yield worker
        finally:
            worker.kill()
            worker.communicate()

    def deliveries(self) -> dict[str, list[dict[str, float]]]:
        """For each way, the seconds and CPU seconds for the same number of records. For \\copy, the seconds of psql."""
        deliveries: dict[str, Callable[[], dict[str, float]]] = {
            way: partial(work, "deliver", way, self.options.records, self._conninfo) for way in WAYS
        }
        deliveries["copy"] = lambda: self._copy(self._copied_rows())
        figures: dict[str, list[dict[str, float]]] = {way: [] for way in deliveries}
        for turn in range(self.options.repetitions):
            for place in range(len(deliveries)):  # each way is the first one once, because the table grows
                way = [*deliveries][(turn + place) % len(deliveries)]
                figures[way].append(self._with_server_cpu(deliveries[way]))
        return figures

    def _with_server_cpu(self, deliver: Callable[[], dict[str, float]]) -> dict[str, float]:
        """The figures of `deliver`, and on Linux the CPU seconds of the server's sessions for it."""
        before = self._cpu_of_ended_sessions()
        figures = deliver()
        return {**figures, "server_cpu_seconds": self._cpu_of_ended_sessions() - before}

    def _cpu_of_ended_sessions(self) -> float:
        others = "select from pg_stat_activity where datname = 'bench' and pid <> pg_backend_pid()"
        with psycopg.connect(self._server.conninfo("bench"), autocommit=True) as connection:
            while connection.execute(others).rowcount:
                time.sleep(0.02)
        postmaster = (self._server.data / "postmaster.pid").read_text().split()[0]
        status = Path(f"/proc/{postmaster}/stat")
        if not status.exists():
            return float("nan")
        children = status.read_text().rpartition(")")[2].split()[13:15]
        return sum(map(int, children)) / os.sysconf("SC_CLK_TCK")

    def _copied_rows(self) -> str:
        rows = (astuple(TelemetryRecord(**columns(number))) for number in range(self.options.records))
        return "".join("\t".join(as_copied(value) for value in row) + "\n" for row in rows)

    def _copy(self, rows: str) -> dict[str, float]:
        """As the owner of the table, because row level security rejects COPY by any other role."""
        with tempfile.NamedTemporaryFile("w", suffix=".tsv") as file:
            file.write(rows)
            file.flush()
            command = f"\\copy public.chat_telemetry_log ({', '.join(COLUMNS)}) from '{file.name}'"
            psql = [str(self._server.bin_path / "psql"), "--quiet", "--no-psqlrc", self._server.conninfo("bench")]
            started = time.perf_counter()
            subprocess.run([*psql, "--command", command], check=True)
            return {"seconds": time.perf_counter() - started}

    def parts(self) -> dict[str, float]:
        """The CPU time of each part of the delivery of a record."""
        figures: dict[str, float] = work("parts", self._conninfo)
        return figures

    def streams(self) -> dict[str, dict[str, float]]:
        """What `chat.stream` costs for each chunk of each provider."""
        command = [sys.executable, "-m", "benchmarks.loader.streams"]
        printed = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
        figures: dict[str, dict[str, float]] = json.loads(printed)
        return figures

    def heartbeat(self) -> dict[str, list[float]]:
        """The delay of a heartbeat, without telemetry and with it."""
        figures: dict[str, list[float]] = work(
            "heartbeat", self.options.heartbeat_seconds, self.options.rounds, self._conninfo
        )
        return figures

    def outage(self) -> dict[str, dict[str, float]]:
        """The memory during an outage. Both ways at the same time, because an outage is long."""
        seconds, rate = self.options.outage_seconds, self.options.outage_rate
        running = {way: start("outage", seconds, rate, way) for way in ("memory", "journal")}
        return {way: json.loads(worker.communicate()[0]) for way, worker in running.items()}


MEASUREMENTS: dict[str, Callable[[LoaderBenchmark], Any]] = {
    "calls_up": LoaderBenchmark.calls_up,
    "calls_down": LoaderBenchmark.calls_down,
    "delivery": LoaderBenchmark.deliveries,
    "parts": LoaderBenchmark.parts,
    "streams": LoaderBenchmark.streams,
    "heartbeat": LoaderBenchmark.heartbeat,
    "outage": LoaderBenchmark.outage,
}


def start(*arguments: object) -> subprocess.Popen[str]:
    """Start a worker."""
    command = [sys.executable, "-m", "benchmarks.loader.workers", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def work(*arguments: object) -> Any:
    """Run a worker and return its figures. Raises CalledProcessError if it fails."""
    worker = start(*arguments)
    printed, _ = worker.communicate()
    if worker.returncode:
        raise subprocess.CalledProcessError(worker.returncode, worker.args)
    return json.loads(printed)


def ask(worker: subprocess.Popen[str], calls: int) -> str:
    """The reply of a contender to one round of calls: the durations as JSON."""
    assert worker.stdin  # noqa: S101 - for the type checker: both are pipes
    assert worker.stdout  # noqa: S101
    worker.stdin.write(f"{calls}\n")
    worker.stdin.flush()
    return worker.stdout.readline()


@contextmanager
def collector() -> Iterator[str]:
    """The URL of a running collector."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.loader.collector"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout  # noqa: S101 - for the type checker: it is a pipe
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.kill()
        process.communicate()


def as_copied(value: object) -> str:
    """A value in the text format of COPY."""
    if value is None:
        return "\\N"
    text = json.dumps(value) if isinstance(value, list) else str(value)
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


def machine() -> dict[str, object]:
    """The machine on which the figures were measured, and the time."""
    return {
        "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load_before": os.getloadavg(),
    }


def options() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=MEASUREMENTS, default=[*MEASUREMENTS], metavar="MEASUREMENT")
    parser.add_argument("--calls", type=int, default=1000, help="per round and contender")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--records", type=int, default=100_000, help="delivered per repetition")
    parser.add_argument("--repetitions", type=int, default=10)
    parser.add_argument("--heartbeat-seconds", type=float, default=4.0)
    parser.add_argument("--outage-seconds", type=float, default=600.0)
    parser.add_argument("--outage-rate", type=float, default=1000.0)
    parser.add_argument(
        "--peers-python", help="a Python with benchmarks/requirements.txt; without, no peers are measured"
    )
    parser.add_argument("--output", type=Path, default=Path("benchmark-loader.json"))
    return parser.parse_args()


def main() -> None:
    """Run on a new server, which is deleted at the end."""
    chosen = options()
    with tempfile.TemporaryDirectory(prefix="chat-telemetry-bench-") as directory:
        os.environ["TMPDIR"] = directory  # for the workers, whose journals are deleted with it
        server = EmbeddedPostgres(Path(directory) / "server", settings={"max_wal_size": "4GB", "autovacuum": "off"})
        server.start()
        try:
            with psycopg.connect(server.conninfo(), autocommit=True) as connection:
                connection.execute("create database bench")
            print(loader_tables(LoaderBenchmark(server, chosen).run()))
        finally:
            server.stop("immediate")
    print(f"The figures as JSON: {chosen.output}", file=sys.stderr)


if __name__ == "__main__":
    main()
