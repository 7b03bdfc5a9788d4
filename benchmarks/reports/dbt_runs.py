"""Runs dbt like a scheduler and measures the cost: inside dbt, of the process and in the server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # the embedded PostgreSQL needs it too

from benchmarks.reports.log_database import DBT_PASSWORD, LogDatabase
from chat_telemetry._cli.embedded_postgres import EmbeddedPostgres

PLAIN_VIEWS = Path(__file__).parent / "plain_views"


@dataclass(frozen=True)
class Cost:
    """Seconds that one `dbt run` took."""

    server_cpu_s: float
    """CPU time of all processes of the server, whatever else the machine did meanwhile."""
    models_s: float
    """Sum of the execution times of the models, as dbt reports them."""
    inside_dbt_s: float
    """Elapsed time as dbt reports it, without the start of Python and the parsing of the project."""
    process_s: float
    """Elapsed time of the process."""
    by_model: dict[str, float]
    """Execution time of each model."""


class DbtRunFailed(Exception):
    """dbt failed; the message is its output."""


@dataclass(frozen=True)
class Dbt:
    """A dbt project on a database, usually that of the database's version. dbt writes to `scratch`, under `name`."""

    server: EmbeddedPostgres
    database: LogDatabase
    name: str
    scratch: Path
    project: Path | None = None
    variables: tuple[tuple[str, object], ...] = ()

    def run(self, *arguments: str, **variables: object) -> Cost:
        """`dbt run`, or the command in `arguments`; raises DbtRunFailed."""
        values = json.dumps({**dict(self.variables), **variables})
        command = [
            str(Path(sys.executable).with_name("dbt")),
            *(arguments or ("run",)),
            *self._options(),
            "--vars",
            values,
        ]
        cpu, started = server_cpu(self.server), time.perf_counter()
        finished = subprocess.run(
            command,
            env={**os.environ, **self._environment()},
            capture_output=True,
            text=True,
            check=False,
        )
        process_s = time.perf_counter() - started
        if finished.returncode:
            raise DbtRunFailed(finished.stdout + finished.stderr)
        results = json.loads((self._target / "run_results.json").read_text())
        return Cost(
            server_cpu_s=server_cpu(self.server) - cpu,
            models_s=sum(result["execution_time"] for result in results["results"]),
            inside_dbt_s=results["elapsed_time"],
            process_s=process_s,
            by_model={r["unique_id"].rsplit(".", 1)[1]: r["execution_time"] for r in results["results"]},
        )

    @property
    def _target(self) -> Path:
        return self.scratch / f"dbt-{self.database.name}-{self.name}"

    def _options(self) -> list[str]:
        version = self.database.version
        project = self.project or version.directory
        return ["--project-dir", str(project), "--profiles-dir", str(version.directory), *version.dbt_options]

    def _environment(self) -> dict[str, str]:
        return {
            "CHAT_TELEMETRY_DBT_HOST": "127.0.0.1",
            "CHAT_TELEMETRY_DBT_PORT": str(self.server.port),
            "CHAT_TELEMETRY_DBT_USER": "telemetry_transformer",
            "CHAT_TELEMETRY_DBT_DATABASE": self.database.name,
            "DBT_ENV_SECRET_CHAT_TELEMETRY_PASSWORD": DBT_PASSWORD,
            "DBT_TARGET_PATH": str(self._target),
            "DBT_LOG_PATH": str(self._target / "logs"),
        }


def server_cpu(server: EmbeddedPostgres) -> float:
    """CPU seconds that the server's processes have used so far, those that ended included (Linux counts them)."""
    postmaster = psutil.Process(int((server.data / "postmaster.pid").read_text().split()[0]))
    used = 0.0
    for process in postmaster.children():
        with suppress(psutil.NoSuchProcess):  # the process ended, and its parent has its CPU time
            times = process.cpu_times()
            used += times.user + times.system
    times = postmaster.cpu_times()
    return used + float(times.user + times.system + times.children_user + times.children_system)
