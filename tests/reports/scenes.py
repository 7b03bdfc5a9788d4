"""For tests of dbt runs: a copy of the project to edit, open transactions of readers, dbt as a process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from psycopg import errors as sqlstate

from chat_telemetry._cli.sql_project import project_directory
from tests.conftest import Database, Server, copy_of
from tests.dbt_project import DbtProject
from tests.reports.contract import COLUMNS, differences

AS_OF = "2026-11-22"
DBT = str(Path(sys.executable).with_name("dbt"))
PARTS = ["dbt_project.yml", "profiles.yml", "selectors.yml", "models", "macros", "seeds", "tests/dbt"]
WAITING = """
select count(*) from pg_stat_activity
where
    usename = 'telemetry_transformer'
    and datname = current_database()
    and (wait_event_type = 'Lock' or wait_event = 'PgSleep')
"""
# The versions of all tables, views, indexes and rows of the project, without report_state, which each run writes.
RELATIONS = """
select c.oid::regclass::text, concat_ws(' ', c.oid, c.relfilenode, c.relkind, c.relacl, c.xmin)
from pg_class as c
where c.relnamespace in ('chat_reports'::regnamespace, 'chat_rollups'::regnamespace, 'chat_prices'::regnamespace)
order by 1
"""
ROWS = "select md5(string_agg(concat_ws(' ', t.ctid, t.xmin, t::text), ',' order by t.ctid)) from {} as t"


def copied(postgres: Server, built: Database, what: str) -> Iterator[DbtProject]:
    """A copy of the project on a copy of the database, both deleted afterwards.

    Both have the same name in each test of this process, so that dbt need not parse what it parsed before.
    """
    directory = Path(tempfile.gettempdir()) / f"{what}_{os.getpid()}"
    shutil.rmtree(directory, ignore_errors=True)
    copy_project(project_directory(), directory)
    with copy_of(postgres, built.name, what) as database:
        yield DbtProject(database, directory, directory)
    shutil.rmtree(directory)


def copy_project(source: Path, directory: Path) -> None:
    """Copy the files that dbt reads to a new directory."""
    directory.mkdir()
    for part in PARTS:
        (shutil.copytree if (source / part).is_dir() else shutil.copy2)(source / part, directory / part)


@contextmanager
def reading(project: DbtProject, relation: str, lock_timeout: str = "2s") -> Iterator[None]:
    """A transaction that read the relation stays open; dbt waits at most `lock_timeout` for a lock."""
    with holding(project, f"select from {relation}", lock_timeout):
        yield


@contextmanager
def holding(project: DbtProject, statement: str, lock_timeout: str = "2s") -> Iterator[None]:
    """A transaction that ran the statement stays open; dbt waits at most `lock_timeout` for a lock."""
    with project.database.connect() as admin, project.database.connect() as holder:
        admin.execute(
            f"alter role telemetry_transformer in database {project.database.name} set lock_timeout = '{lock_timeout}'"
        )
        with holder.transaction():
            holder.execute(statement)
            yield


def can_read(project: DbtProject, relation: str, within: str) -> bool:
    """Whether each of twenty reads, one after the other, ends within this time."""
    with project.database.connect() as connection:
        connection.execute(f"set statement_timeout = '{within}'")
        try:
            for _ in range(20):
                connection.execute(f"select from {relation}")
        except sqlstate.QueryCanceled:
            return False
    return True


def start(project: DbtProject, *arguments: str, target: str = "target", **variables: Any) -> subprocess.Popen[str]:
    """Start dbt as a process, with a separate directory for its files."""
    environment = {**os.environ, **project.environment(), "DBT_TARGET_PATH": str(project.scratch / target)}
    command = [DBT, *project.command(*arguments, **variables)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_until_waiting(project: DbtProject, count: int, *processes: subprocess.Popen[str]) -> None:
    """Wait until `count` connections of dbt wait for a lock or for the next attempt to get it."""
    deadline = time.monotonic() + 120
    while value(project, WAITING) < count:
        assert time.monotonic() < deadline, "dbt never waited"
        assert all(process.poll() is None for process in processes), "dbt ended without waiting"
        time.sleep(0.02)


def assert_success(*processes: subprocess.Popen[str]) -> None:
    """Wait for the processes. If one fails, the test fails with its output."""
    for process in processes:
        said, _ = process.communicate(timeout=240)
        assert process.returncode == 0, said


def run_alone(*command: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the command with only this environment; returns its output."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        command, env={**kept, **environment}, capture_output=True, text=True, timeout=240, check=False
    )


def edit(project: DbtProject, name: str, old: str, new: str) -> None:
    """Replace text in a file of the project."""
    path = project.directory / name
    before = path.read_text(encoding="utf-8")
    assert old in before
    path.write_text(before.replace(old, new), encoding="utf-8")


def value(project: DbtProject, query: str) -> Any:
    """The single value that the query returns."""
    with project.database.connect() as connection:
        row = connection.execute(query).fetchone()
        assert row
        return row[0]


def execute(project: DbtProject, statement: str) -> None:
    """Run SQL as the administrator."""
    with project.database.connect() as connection:
        connection.execute(statement)


def footprint(project: DbtProject) -> dict[str, str]:
    """Values that change if anything is written to the tables and reports, even the same rows."""
    with project.database.connect() as connection:
        relations: dict[str, str] = dict(connection.execute(RELATIONS).fetchall())
        rows = {
            f"rows of {name}": str(connection.execute(ROWS.format(name)).fetchone())
            for name, state in relations.items()
            if state.split()[2] in ("r", "m") and name != "chat_rollups.report_state"
        }
    return {**relations, **rows}


def assert_exact(project: DbtProject, report_as_of: str = AS_OF, report_timezone: str = "UTC") -> None:
    """Every report equals direct SQL on the log, and every change is counted."""
    with project.database.connect() as connection:
        for report in COLUMNS:
            assert differences(connection, report, report_as_of, report_timezone) == [], report
    assert value(project, "select count(*) from public.chat_telemetry_changes") == 0
    assert value(project, "select count(*) from chat_rollups.drained_changes") == 0
