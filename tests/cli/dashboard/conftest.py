"""A database with the reports of a thousand chat requests."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from chat_telemetry._cli.demo.generator import generate
from chat_telemetry._cli.referenced_rows import create_referenced_rows
from chat_telemetry._delivery.store import Store
from chat_telemetry._encoding import encode
from tests.conftest import Database, Server, copy_of
from tests.dbt_project import DbtProject, template_with_prices

AS_OF = date(2026, 11, 23)
COUNT = 1000


def _fill(database: Database) -> None:
    records = list(generate(COUNT, datetime(2026, 11, 23, 7, tzinfo=UTC)))
    records[-1].error_type = "cancelled"
    records[-2].sql_cached_tokens = 10**9
    with database.connect() as connection, closing(Store(database.conninfo)) as store:
        create_referenced_rows(connection, records)
        assert store.insert([encode(record) for record in records]).stored == len(records)
    with tempfile.TemporaryDirectory() as scratch:
        DbtProject(database, Path(scratch)).run("run", report_as_of=str(AS_OF))


@pytest.fixture
def built(postgres: Server) -> Database:
    """For tests that change nothing: one database for all of them."""
    return Database(postgres, postgres.template_with("dashboard", template_with_prices(postgres), _fill))


@pytest.fixture
def copied(postgres: Server, built: Database) -> Iterator[Database]:
    """A copy that a test can change."""
    with copy_of(postgres, built.name, "dashboard_copy") as database:
        yield database
