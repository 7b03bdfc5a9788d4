"""chat_report compared with the stock materialization. If the stock one passes all these tests, delete chat_report."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from psycopg import errors as sqlstate
from psycopg import sql

from tests.conftest import SERVERS, Database, Server
from tests.dbt_project import DbtProject, failures
from tests.reports.contract import COLUMNS
from tests.reports.scenes import (
    AS_OF,
    assert_exact,
    assert_success,
    can_read,
    copied,
    edit,
    execute,
    reading,
    start,
    value,
    wait_until_waiting,
)

# Most of the time goes into dbt, so one server is enough.
pytestmark = pytest.mark.parametrize("postgres", SERVERS[-1:], indirect=True, scope="session")

ERRORS = "models/reports/errors"
DESCRIBED_COLUMNS = """
select count(*) from pg_attribute
where attrelid = 'chat_reports.errors'::regclass and attnum > 0 and col_description(attrelid, attnum) != ''
"""
BOARD = "create schema theirs; create view theirs.board as select * from chat_reports.errors"
COUNT = "select sum(request_count) from chat_reports.errors"


@pytest.fixture
def stock(postgres: Server, built: Database) -> Iterator[DbtProject]:
    """The same with the stock materialization for the reports."""
    for project in copied(postgres, built, "stock"):
        edit(project, "dbt_project.yml", "+materialized: chat_report", "+materialized: materialized_view")
        yield project


@pytest.fixture
def role(postgres: Server) -> Iterator[str]:
    """A role that the migrations do not create."""
    name = f"bi_{uuid.uuid4().hex[:12]}"
    postgres.execute(sql.SQL("create role {}").format(sql.Identifier(name)))
    yield name
    postgres.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


def count_less(project: DbtProject) -> None:
    """Delete requests and count that, so that the report has to be refreshed."""
    execute(project, "delete from public.chat_telemetry_log where created_at < '2026-11-20'")
    project.run("run", "--select", "drained_changes daily_requests", report_as_of=AS_OF)


def change_query(project: DbtProject) -> None:
    """Change the query: the report begins on 20 November."""
    edit(project, f"{ERRORS}.sql", "where day between", "where day >= '2026-11-20' and day between")


def run_errors(project: DbtProject, *options: str) -> str:
    """Run dbt for one report; returns the errors."""
    return failures(project.invoke("run", "--select", "errors", *options, report_as_of=AS_OF))


def first_day(project: DbtProject) -> str:
    return str(value(project, "select min(day) from chat_reports.errors"))


def test_a_refresh_does_not_wait_for_readers(ours: DbtProject, stock: DbtProject) -> None:
    def failures_with_a_reader(project: DbtProject) -> str:
        count_less(project)
        with reading(project, "chat_reports.errors"):
            return run_errors(project)

    assert failures_with_a_reader(ours) == ""
    assert first_day(ours) >= "2026-11-20"
    assert "lock timeout" in failures_with_a_reader(stock)


def test_a_plain_run_applies_a_changed_query(ours: DbtProject, stock: DbtProject) -> None:
    for project in (ours, stock):
        change_query(project)
        assert run_errors(project) == ""
    assert first_day(ours) >= "2026-11-20"
    assert first_day(stock) < "2026-11-20"


def test_a_run_that_changes_an_index_refreshes_too(ours: DbtProject, stock: DbtProject) -> None:
    for project in (ours, stock):
        edit(project, f"{ERRORS}.yml", "      indexes:\n", "      indexes:\n        - columns: [error_type]\n")
        count_less(project)
        assert run_errors(project) == ""
        assert value(project, "select count(*) from pg_index where indrelid = 'chat_reports.errors'::regclass") == 2
    assert first_day(ours) >= "2026-11-20"
    assert first_day(stock) < "2026-11-20"


def test_an_index_that_is_removed_from_the_project_is_dropped_and_the_key_stays(ours: DbtProject) -> None:
    keys = "select array_agg(indisunique order by indisunique) from pg_index where indrelid = '{}'::regclass"
    keys = keys.format("chat_reports.errors")
    more = "        - columns: [error_type]\n"
    edit(ours, f"{ERRORS}.yml", "      indexes:\n", f"      indexes:\n{more}")
    assert run_errors(ours) == ""
    assert value(ours, keys) == [False, True]
    edit(ours, f"{ERRORS}.yml", more, "")
    assert run_errors(ours) == ""
    assert value(ours, keys) == [True]


def test_a_plain_run_applies_a_changed_description(ours: DbtProject, stock: DbtProject) -> None:
    comment = "select obj_description('chat_reports.errors'::regclass, 'pg_class')"
    column_comment = "select col_description('chat_reports.errors'::regclass, 4)"
    for project in (ours, stock):
        edit(project, f"{ERRORS}.yml", "How chat requests ended", "It's how chat requests ended")
        edit(project, f"{ERRORS}.yml", "Chat requests with this", 'Chat requests with "this"')
        assert run_errors(project) == ""
    assert value(ours, comment).startswith("It's how chat requests ended")
    assert value(ours, column_comment) == 'Chat requests with "this" error_type and failed_step.'
    assert value(stock, comment).startswith("How chat requests ended")


def test_a_role_that_is_granted_a_report_may_enter_its_schema(role: str, ours: DbtProject, stock: DbtProject) -> None:
    def may_enter(project: DbtProject) -> bool:
        edit(project, "dbt_project.yml", "[telemetry_reader]", f"[telemetry_reader, {role}]")
        assert run_errors(project) == ""
        assert value(project, f"select has_table_privilege('{role}', 'chat_reports.errors'::regclass, 'select')")
        return bool(value(project, f"select has_schema_privilege('{role}', 'chat_reports', 'usage')"))

    assert may_enter(ours)
    assert not may_enter(stock)


@pytest.mark.parametrize("named", [True, False])
def test_a_role_that_is_not_in_the_project_loses_the_report(
    role: str, ours: DbtProject, stock: DbtProject, named: bool
) -> None:
    def may_read(project: DbtProject) -> bool:
        with project.database.as_role("telemetry_transformer") as connection:
            connection.execute(f"grant select on chat_reports.errors to {role if named else 'public'}")
        assert run_errors(project) == ""
        assert value(project, "select has_table_privilege('telemetry_reader', 'chat_reports.errors', 'select')")
        return bool(value(project, f"select has_table_privilege('{role}', 'chat_reports.errors', 'select')"))

    assert not may_read(ours)
    assert may_read(stock)


def test_a_report_can_be_granted_to_public_and_revoked(role: str, ours: DbtProject) -> None:
    def may_read() -> bool:
        assert run_errors(ours) == ""
        with ours.database.as_role(role) as connection:
            try:
                return connection.execute(COUNT).fetchone() is not None
            except sqlstate.InsufficientPrivilege:
                return False

    edit(ours, "dbt_project.yml", "[telemetry_reader]", "public")
    assert may_read()
    edit(ours, "dbt_project.yml", "select: public", "select: [telemetry_reader]")
    assert not may_read()


def test_a_view_of_others_on_a_report_is_never_dropped(ours: DbtProject, stock: DbtProject) -> None:
    for project in (ours, stock):
        execute(project, BOARD)
        change_query(project)
    assert "theirs.board depends on it" in run_errors(ours)
    assert "theirs.board depends on it" in run_errors(ours, "--full-refresh")
    assert value(ours, "select min(day) < '2026-11-20' from theirs.board")
    assert run_errors(stock, "--full-refresh") == ""
    assert value(stock, "select to_regclass('theirs.board')") is None


def test_a_refresh_does_not_change_a_view_on_a_report(ours: DbtProject) -> None:
    execute(ours, BOARD)
    execute(ours, "delete from public.chat_telemetry_log")
    ours.run("run", report_as_of=AS_OF)
    ours.run("run", "--full-refresh", report_as_of=AS_OF)
    assert value(ours, "select count(*) from theirs.board") == 0


def test_readers_do_not_wait_while_a_report_is_replaced(ours: DbtProject, stock: DbtProject) -> None:
    def readers_go_on(project: DbtProject, within: str, *options: str) -> bool:
        """Whether others can read while the exchange waits for a reader that takes its time."""
        change_query(project)
        with reading(project, "chat_reports.errors", lock_timeout="1min"):
            run = start(project, "run", "--select", "errors", *options, report_as_of=AS_OF)
            wait_until_waiting(project, 1, run)
            going_on = can_read(project, "chat_reports.errors", within)
        assert_success(run)
        assert first_day(project) >= "2026-11-20"
        return going_on

    assert readers_go_on(ours, "30s")  # half of what the exchange waits
    assert not readers_go_on(stock, "1s", "--full-refresh")


def test_a_replaced_report_keeps_its_comments_and_grants(ours: DbtProject) -> None:
    before = value(ours, DESCRIBED_COLUMNS)
    change_query(ours)
    assert run_errors(ours) == ""
    assert value(ours, DESCRIBED_COLUMNS) == before == len(COLUMNS["errors"])
    assert value(ours, "select obj_description('chat_reports.errors'::regclass) like 'How chat requests ended%'")
    with ours.database.as_role("telemetry_reader") as connection:
        connection.execute("select * from chat_reports.errors")


@pytest.mark.parametrize("kind", ["table", "view"])
def test_another_relation_with_the_name_of_a_report_is_refused(ours: DbtProject, stock: DbtProject, kind: str) -> None:
    for project in (ours, stock):
        execute(project, "drop materialized view chat_reports.errors")
        with project.database.as_role("telemetry_transformer") as connection:
            connection.execute(f"create {kind} chat_reports.errors as select 1 as mine")
    assert "chat_reports.errors exists, but is not a materialized view" in run_errors(ours)
    assert "exists, but is not a materialized view" in run_errors(ours, "--full-refresh")
    assert value(ours, "select mine from chat_reports.errors") == 1
    assert run_errors(stock) == ""
    assert value(stock, "select relkind::text from pg_class where oid = 'chat_reports.errors'::regclass") == "m"


def test_a_dropped_report_is_created_again(ours: DbtProject) -> None:
    execute(ours, "drop materialized view chat_reports.errors")
    ours.run("run", report_as_of=AS_OF)
    assert_exact(ours)
    assert value(ours, DESCRIBED_COLUMNS) == len(COLUMNS["errors"])
