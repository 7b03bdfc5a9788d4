"""For tests of what dbt does: a copy of the project to change, somebody who reads meanwhile, dbt as a process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from chat_telemetry.project import project_directory
from tests.conftest import Database, Server
from tests.dbt_project import DbtProject

PARTS = ["dbt_project.yml", "profiles.yml", "models", "macros", "seeds"]
WAITING = """
select count(*) from pg_stat_activity
where
    usename = 'telemetry_transformer'
    and datname = current_database()
    and (wait_event_type = 'Lock' or wait_event = 'PgSleep')
"""


def copied(postgres: Server, built: Database, name: str) -> Iterator[DbtProject]:
    """A copy of the project on a copy of the database, both gone afterwards.

    Both have the same name in each test of this process, so that dbt need not parse what it parsed before.
    """
    name = f"{name}_{os.getpid()}"
    directory = Path(tempfile.gettempdir()) / name
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    for part in PARTS:
        source = project_directory() / part
        (shutil.copytree if source.is_dir() else shutil.copy)(source, directory / part)
    postgres.drop_database(name)
    yield DbtProject(postgres.create_database(built.name, name=name), directory, directory)
    postgres.drop_database(name)
    shutil.rmtree(directory)


@contextmanager
def reading(project: DbtProject, relation: str, lock_timeout: str = "2s") -> Iterator[None]:
    """Somebody reads the relation and does not end the transaction; dbt waits for locks as long as given."""
    with project.database.connect() as admin, project.database.connect() as reader:
        admin.execute(
            f"alter role telemetry_transformer in database {project.database.name} set lock_timeout = '{lock_timeout}'"
        )
        with reader.transaction():
            reader.execute(f"select from {relation}")
            yield


def can_read(project: DbtProject, relation: str) -> bool:
    """Whether twenty readings, one after the other, take less than a second each."""
    with project.database.connect() as connection:
        connection.execute("set statement_timeout = '1s'")
        try:
            for _ in range(20):
                connection.execute(f"select from {relation}")
        except psycopg.errors.QueryCanceled:
            return False
    return True


def start(project: DbtProject, *arguments: str, target: str = "target") -> subprocess.Popen[bytes]:
    """dbt as a process."""
    environment = {**os.environ, **project.environment(), "DBT_TARGET_PATH": str(project.scratch / target)}
    command = [str(Path(sys.executable).with_name("dbt")), *project.command(*arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)


def wait_until_waiting(project: DbtProject, count: int, *processes: subprocess.Popen[bytes]) -> None:
    """Returns when `count` connections of dbt's wait for a lock or for the next attempt to get it."""
    deadline = time.monotonic() + 120
    while value(project, WAITING) < count:
        assert time.monotonic() < deadline, "dbt never waited"
        assert all(process.poll() is None for process in processes), "dbt ended without waiting"
        time.sleep(0.02)


def edit(project: DbtProject, name: str, old: str, new: str) -> None:
    """Replace text in a file of the project's."""
    path = project.directory / name
    before = path.read_text(encoding="utf-8")
    assert old in before
    path.write_text(before.replace(old, new), encoding="utf-8")


def allow_full_refresh(project: DbtProject) -> None:
    """Take out the project's first defence, so that the macros are on their own."""
    edit(project, "dbt_project.yml", "+full_refresh: false", "+full_refresh: null")


def value(project: DbtProject, query: str) -> Any:
    """The one value that the query gives."""
    with project.database.connect() as connection:
        row = connection.execute(query).fetchone()
        assert row
        return row[0]
