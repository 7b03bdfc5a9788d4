"""A checkout of the project: its migrations, its dbt project, and how to delete what it counted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from chat_telemetry._cli.sql_project import project_directory

MIGRATE = """
import sys
from chat_telemetry._cli.migrations import apply_migrations

apply_migrations(sys.argv[1])
"""
FORGET = """
import sys
import psycopg
from benchmarks.reports.log_database import FORGET

with psycopg.connect(sys.argv[1], autocommit=True) as connection:
    connection.execute(FORGET)
"""


@dataclass(frozen=True)
class Version:
    """A checkout in `directory`, which is only read."""

    directory: Path

    def migrate(self, conninfo: str) -> None:
        """Apply its migrations."""
        self._run(MIGRATE, conninfo)

    def forget_counts(self, conninfo: str) -> None:
        """Delete everything that its dbt project made from the log, so that the next run is a first run."""
        self._run(FORGET, conninfo)

    @property
    def dbt_options(self) -> tuple[str, ...]:
        """Another version runs with this version's locked dbt, even if its `require-dbt-version` excludes it."""
        return () if self == THIS_VERSION else ("--no-version-check",)

    def _run(self, program: str, conninfo: str) -> None:
        python_path = os.pathsep.join([str(self.directory / "loader"), str(self.directory)])
        subprocess.run(
            [sys.executable, "-c", program, conninfo],
            cwd=self.directory,
            env={**os.environ, "PYTHONPATH": python_path, "PYTHONDONTWRITEBYTECODE": "1"},
            check=True,
        )


THIS_VERSION = Version(project_directory())


def with_other_definitions(directory: Path) -> Path:
    """A copy of this version's dbt project in which the definition of every report differs, with the same rows."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    shutil.copy(THIS_VERSION.directory / "dbt_project.yml", directory)
    for part in ("macros", "models", "seeds"):
        shutil.copytree(THIS_VERSION.directory / part, directory / part)
    for report in (directory / "models" / "reports").glob("*.sql"):
        report.write_text(report.read_text() + "offset 0\n")
    return directory
