"""What the project's macros mend in dbt-postgres, beside stock dbt: where that does well too, a macro can go."""

from __future__ import annotations

import datetime as dt
import shutil
import uuid
from collections.abc import Iterator

import psycopg
import pytest

from tests.conftest import SERVERS, Database, Server
from tests.dbt_project import DbtProject, failures
from tests.reports.random_log import fill
from tests.reports.scenes import allow_full_refresh, can_read, copied, edit, reading, start, value, wait_until_waiting

# dbt is what is tested here, and most of the time goes into it: one server will do.
pytestmark = pytest.mark.parametrize("postgres", SERVERS[-1:], indirect=True, scope="session")

DESCRIBED_COLUMNS = """
select count(*) from pg_attribute
where attrelid = 'chat_reports.errors'::regclass and attnum > 0 and col_description(attrelid, attnum) != ''
"""


@pytest.fixture(scope="module")
def built(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database with rows and reports that nobody is connected to, to be copied."""
    database = postgres.create_database(postgres.template())
    fill(database, 1, 300, dt.date(2026, 11, 22), "UTC")
    project = DbtProject(database, tmp_path_factory.mktemp("built"))
    project.seed_and_run()
    yield database
    postgres.drop_database(database.name)


@pytest.fixture
def ours(postgres: Server, built: Database) -> Iterator[DbtProject]:
    """A copy of the project and of the database."""
    yield from copied(postgres, built, "ours")


@pytest.fixture
def stock(postgres: Server, built: Database) -> Iterator[DbtProject]:
    """The same without the macros that override dbt's."""
    for project in copied(postgres, built, "stock"):
        shutil.rmtree(project.directory / "macros" / "overrides")
        yield project


@pytest.fixture
def role(postgres: Server) -> Iterator[str]:
    """A role that no migration knows."""
    name = f"bi_{uuid.uuid4().hex[:12]}"
    postgres.execute(psycopg.sql.SQL("create role {}").format(psycopg.sql.Identifier(name)))
    yield name
    postgres.execute(psycopg.sql.SQL("drop role {}").format(psycopg.sql.Identifier(name)))


def test_a_refresh_does_not_wait_for_readers(ours: DbtProject, stock: DbtProject) -> None:
    def failures_beside_a_reader(project: DbtProject) -> str:
        with reading(project, "chat_reports.errors"):
            return failures(project.invoke("run", "--select", "errors"))

    assert failures_beside_a_reader(ours) == ""
    assert "lock timeout" in failures_beside_a_reader(stock)


def test_a_plain_run_applies_a_changed_query(ours: DbtProject, stock: DbtProject) -> None:
    def later_days(project: DbtProject) -> int:
        project.run("run", "--select", "errors", report_as_of="2026-11-20")
        return int(value(project, "select count(*) from chat_reports.errors where day > '2026-11-20'"))

    assert later_days(ours) == 0
    assert later_days(stock) > 0


def test_a_run_that_changes_an_index_refreshes_too(ours: DbtProject, stock: DbtProject) -> None:
    def indexes_and_requests(project: DbtProject) -> tuple[int, int]:
        edit(
            project,
            "models/reports/errors.yml",
            "      indexes:\n",
            "      indexes:\n        - columns: [error_type]\n",
        )
        with project.database.connect() as connection:
            connection.execute("delete from public.chat_telemetry_log")
        project.run("run", "--select", "drained_changes daily_requests errors")
        indexes = value(project, "select count(*) from pg_index where indrelid = 'chat_reports.errors'::regclass")
        return indexes, value(project, "select count(*) from chat_reports.errors")

    assert indexes_and_requests(ours) == (2, 0)
    indexes, requests = indexes_and_requests(stock)
    assert indexes == 2
    assert requests > 0


def test_an_index_taken_out_of_the_project_goes_and_the_key_stays(ours: DbtProject) -> None:
    with ours.database.as_role("telemetry_transformer") as connection:
        connection.execute("create index by_hand on chat_reports.errors (failed_step)")
    ours.run("run", "--select", "errors")
    keys = "select array_agg(indisunique) from pg_index where indrelid = 'chat_reports.errors'::regclass"
    assert value(ours, keys) == [True]


def test_a_role_that_is_granted_a_report_may_enter_its_schema(role: str, ours: DbtProject, stock: DbtProject) -> None:
    def may_enter(project: DbtProject) -> bool:
        edit(project, "dbt_project.yml", "[telemetry_reader]", f"[telemetry_reader, {role}]")
        project.run("run", "--select", "errors")
        assert value(project, f"select has_table_privilege('{role}', 'chat_reports.errors'::regclass, 'select')")
        return bool(value(project, f"select has_schema_privilege('{role}', 'chat_reports', 'usage')"))

    assert may_enter(ours)
    assert not may_enter(stock)


def test_a_role_taken_out_of_the_project_loses_the_report(role: str, ours: DbtProject, stock: DbtProject) -> None:
    def may_read(project: DbtProject) -> bool:
        with project.database.as_role("telemetry_transformer") as connection:
            connection.execute(f"grant select on chat_reports.errors to {role}")
        project.run("run", "--select", "errors")
        assert value(project, "select has_table_privilege('telemetry_reader', 'chat_reports.errors', 'select')")
        return bool(value(project, f"select has_table_privilege('{role}', 'chat_reports.errors', 'select')"))

    assert not may_read(ours)
    assert may_read(stock)


def test_a_view_that_somebody_built_on_a_report_is_never_dropped(ours: DbtProject, stock: DbtProject) -> None:
    for project in (ours, stock):
        allow_full_refresh(project)
        with project.database.connect() as connection:
            connection.execute("create schema theirs; create view theirs.board as select * from chat_reports.errors")
    outcome = ours.invoke("run", "--full-refresh", "--select", "errors")
    assert not outcome.success
    assert "theirs.board is built on it" in failures(outcome)
    assert value(ours, "select count(*) from theirs.board") > 0
    stock.run("run", "--full-refresh", "--select", "errors")
    assert value(stock, "select to_regclass('theirs.board')") is None


def test_a_refresh_leaves_a_view_on_a_report_alone(ours: DbtProject) -> None:
    with ours.database.connect() as connection:
        connection.execute("create schema theirs; create view theirs.board as select * from chat_reports.errors")
        connection.execute("delete from public.chat_telemetry_log")
    ours.run("run")
    ours.run("run", "--full-refresh")
    assert value(ours, "select count(*) from theirs.board") == 0


def test_an_exchanged_report_keeps_no_reader_waiting(ours: DbtProject, stock: DbtProject) -> None:
    def readers_go_on(project: DbtProject) -> bool:
        """Whether others can read while the exchange waits for a reader that takes its time."""
        allow_full_refresh(project)
        with reading(project, "chat_reports.errors", lock_timeout="1min"):
            run = start(project, "run", "--full-refresh", "--select", "errors")
            wait_until_waiting(project, 1, run)
            going_on = can_read(project, "chat_reports.errors")
        assert run.wait(120) == 0
        return going_on

    assert readers_go_on(ours)
    assert not readers_go_on(stock)


def test_an_exchanged_report_keeps_its_comments_and_grants(ours: DbtProject) -> None:
    before = value(ours, DESCRIBED_COLUMNS)
    ours.run("run", "--select", "errors", report_as_of="2026-11-20")
    assert value(ours, DESCRIBED_COLUMNS) == before == 6
    assert value(ours, "select obj_description('chat_reports.errors'::regclass) like 'How chat requests ended%'")
    with ours.database.as_role("telemetry_reader") as connection:
        connection.execute("select * from chat_reports.errors")


def test_a_table_in_the_place_of_a_report_is_refused_by_name(ours: DbtProject, stock: DbtProject) -> None:
    for project in (ours, stock):
        with project.database.as_role("telemetry_transformer") as connection:
            connection.execute("drop materialized view chat_reports.errors")
            connection.execute("create table chat_reports.errors as select 1 as mine")
    outcome = ours.invoke("run", "--select", "errors")
    assert not outcome.success
    assert '"chat_reports"."errors" is a table that this project did not make' in failures(outcome)
    assert value(ours, "select mine from chat_reports.errors") == 1
    stock.run("run", "--select", "errors")
    assert value(stock, "select relkind::text from pg_class where oid = 'chat_reports.errors'::regclass") == "m"


def test_a_seed_does_not_wait_for_readers_of_the_prices(ours: DbtProject, stock: DbtProject) -> None:
    def failures_beside_a_reader(project: DbtProject) -> str:
        with reading(project, "chat_tallies.token_prices"):
            return failures(project.invoke("seed"))

    assert failures_beside_a_reader(ours) == ""
    assert "lock timeout" in failures_beside_a_reader(stock)


def test_a_full_refresh_of_the_prices_drops_no_report(ours: DbtProject, stock: DbtProject) -> None:
    def is_there_after_a_seed(project: DbtProject) -> bool:
        allow_full_refresh(project)
        project.run("seed", "--full-refresh")
        assert value(project, "select count(*) from chat_tallies.token_prices") > 0
        return value(project, "select to_regclass('chat_reports.token_cost')") is not None

    assert is_there_after_a_seed(ours)
    assert not is_there_after_a_seed(stock)


def test_two_seeds_at_once_do_not_add_up(ours: DbtProject) -> None:
    before = value(ours, "select count(*) from chat_tallies.token_prices")
    with ours.database.connect() as connection, connection.transaction():
        connection.execute("lock table chat_tallies.token_prices in share row exclusive mode")
        seeds = [start(ours, "seed", "--select", "token_prices", target=str(number)) for number in range(2)]
        wait_until_waiting(ours, 2, *seeds)
    assert [seed.wait(120) for seed in seeds] == [0, 0]
    assert value(ours, "select count(*) from chat_tallies.token_prices") == before


def test_a_missing_schema_is_said_to_want_a_migration(ours: DbtProject, stock: DbtProject) -> None:
    def what_it_says(project: DbtProject) -> str:
        with project.database.connect() as connection:
            connection.execute("drop schema chat_reports cascade")
        outcome = project.invoke("run", "--select", "errors")
        assert not outcome.success
        return failures(outcome)

    assert "run chat-telemetry migrate" in what_it_says(ours)
    assert "chat-telemetry migrate" not in what_it_says(stock)
