"""The dbt project with a database per test."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Database, Server, copy_of
from tests.dbt_project import DbtProject, template_with_prices
from tests.reports.random_log import fill
from tests.reports.scenes import AS_OF, copied

WITHOUT_LONG_NAMES = """
delete from public.chat_telemetry_log
where greatest(length(error_type), length(failed_step), length(sql_model), length(response_model)) > 1000
"""


@pytest.fixture
def database(postgres: Server) -> Iterator[Database]:
    """A migrated database with prices and without rows."""
    with copy_of(postgres, template_with_prices(postgres)) as copy:
        yield copy


@pytest.fixture
def project(database: Database, tmp_path: Path) -> DbtProject:
    """The dbt project on a migrated database with prices and without rows."""
    return DbtProject(database, tmp_path)


@pytest.fixture(scope="module")
def built(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database with rows and reports, as of AS_OF. It has no open connection, so that tests can copy it."""
    with copy_of(postgres, template_with_prices(postgres), "built") as database:
        fill(database, 1, 300, dt.date.fromisoformat(AS_OF), "UTC")
        with database.connect() as connection:  # a name that is too long for the unique index makes readers wait
            connection.execute(WITHOUT_LONG_NAMES)
        DbtProject(database, tmp_path_factory.mktemp("built")).run("run", report_as_of=AS_OF)
        yield database


@pytest.fixture
def ours(postgres: Server, built: Database) -> Iterator[DbtProject]:
    """A copy of the project, which a test can edit, on a copy of the database."""
    yield from copied(postgres, built, "ours")
