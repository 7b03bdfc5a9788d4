"""The rights of each role on what dbt builds, and the error of dbt if it may not read the log."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from psycopg import errors as sqlstate

from tests.conftest import Server, copy_of
from tests.dbt_project import DbtProject, failures, template_with_prices
from tests.reports.contract import COLUMNS


@pytest.fixture(scope="module")
def built(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DbtProject]:
    """Built once for the tests of this file, which do not change it."""
    with copy_of(postgres, template_with_prices(postgres), "built") as database:
        project = DbtProject(database, tmp_path_factory.mktemp("dbt"))
        project.run("run")
        yield project


def test_the_reader_reads_the_reports_and_nothing_else(built: DbtProject) -> None:
    with built.database.as_role("telemetry_reader") as connection:
        for report in COLUMNS:
            connection.execute(f"select * from chat_reports.{report}")
        for forbidden in (
            "select * from chat_prices.token_prices",
            "select * from chat_rollups.daily_users",
            "select chat_rollups.drain('{}', 'mine', current_date)",
            "select * from public.chat_telemetry_log",
            "refresh materialized view chat_reports.errors",
            "drop materialized view chat_reports.errors",
            "create table chat_reports.mine ()",
        ):
            with pytest.raises(sqlstate.InsufficientPrivilege):
                connection.execute(forbidden)


@pytest.mark.parametrize("role", ["service_role", "somebody_else"])
def test_no_other_role_reads_a_report(built: DbtProject, role: str) -> None:
    with built.database.connect() as connection:
        connection.execute(f"do $$ begin if to_regrole('{role}') is null then create role {role}; end if; end $$")
    with built.database.as_role(role) as connection:
        for report in COLUMNS:
            with pytest.raises(sqlstate.InsufficientPrivilege):
                connection.execute(f"select * from chat_reports.{report}")


@pytest.mark.parametrize(
    "change",
    [
        "drop policy telemetry_transformer_selects on public.chat_telemetry_log",
        "create policy only_mine on public.chat_telemetry_log as restrictive for select to public using (false)",
    ],
)
def test_dbt_fails_if_row_level_security_would_hide_rows(project: DbtProject, change: str) -> None:
    with project.database.connect() as connection:
        connection.execute(change)
    outcome = project.invoke("build")
    assert not outcome.success
    assert "row level security" in failures(outcome).lower()


def test_without_a_log_dbt_says_to_migrate(project: DbtProject) -> None:
    with project.database.connect() as connection:
        connection.execute("drop table public.chat_telemetry_log cascade")
    outcome = project.invoke("build")
    assert not outcome.success
    assert "chat-telemetry migrate" in failures(outcome)


def test_without_prices_dbt_says_to_seed(project: DbtProject) -> None:
    with project.database.connect() as connection:
        connection.execute("drop table chat_prices.token_prices, chat_prices.model_aliases")
    outcome = project.invoke("run")
    assert not outcome.success
    assert "dbt seed" in failures(outcome)
