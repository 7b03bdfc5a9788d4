"""dbt in a database with unusual settings and objects of others: the reports are exact."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.conftest import SERVERS
from tests.dbt_project import DbtProject
from tests.reports.scenes import AS_OF, assert_exact, edit, execute, value

# Most of the time goes into dbt, so one server is enough.
pytestmark = pytest.mark.parametrize("postgres", SERVERS[-1:], indirect=True, scope="session")

HOSTILE_PUBLIC = (Path(__file__).parent / "hostile_public.sql").read_text(encoding="utf-8")
HOSTILE_NAMES_OF_THE_STEPS = """
create function public.now() returns timestamptz language sql as $$ select timestamptz '2001-01-01' $$;
create domain public.text as pg_catalog.text check (false);
create domain public.date as pg_catalog.date check (false);
"""
# If standard_conforming_strings is off, the backslash would escape the quote after it.
QUERY = "SELECT 'it\\', \"S\"\n\tfrom  t"
SHAPE = 'select ?, "S" from t'
SETTINGS = [
    *["default_transaction_isolation = serializable", "standard_conforming_strings = off", "array_nulls = off"],
    *["timezone = 'Pacific/Chatham'", "datestyle = 'sql, dmy'", "intervalstyle = sql_standard"],
    *["quote_all_identifiers = on", "extra_float_digits = -15", "transform_null_equals = on"],
    *["enable_hashagg = off", "enable_sort = off", "plan_cache_mode = force_generic_plan"],
]
ADD_REQUEST = """
insert into public.chat_telemetry_log (user_id, user_question, created_at, sql_model, ttfb_ms, generated_sql)
values (%s, 'How many?', %s, 'gpt-4o', %s, %s)
"""


def add_requests(project: DbtProject, user: str | None = None, day: str = AS_OF) -> None:
    """300 requests up to noon of the day, written with the settings of the database or by a user with a search_path."""
    (asker,) = project.database.add_users()
    noon = dt.datetime.fromisoformat(f"{day} 12:00Z")
    rows = [(asker, noon - dt.timedelta(minutes=30 * n), n % 50, QUERY) for n in range(300)]
    with hostile_session(project, user) if user else project.database.connect() as connection:
        connection.cursor().executemany(ADD_REQUEST, rows)


def hostile_session(project: DbtProject, user: str) -> psycopg.Connection:
    connection = project.database.as_role(user)
    connection.execute("set search_path = public, pg_catalog")
    return connection


def today(project: DbtProject) -> str:
    return str(value(project, "select (now() at time zone 'UTC')::date"))


def assert_shape_and_fingerprint(project: DbtProject) -> None:
    fingerprint = hashlib.md5(b"select 'it\\', \"s\" from t", usedforsecurity=False).hexdigest()
    shape = f"select sql_shape from chat_reports.sql_patterns where sql_fingerprint = '{fingerprint}'"
    assert value(project, shape) == SHAPE


@pytest.fixture
def logins(ours: DbtProject) -> Iterator[dict[str, str]]:
    """Logins that are members of the project's roles: settings of a role do not reach its members."""
    roles = {"transformer": "transformer", "colleague": "transformer", "writer": "writer", "reader": "reader"}
    names = {login: f"{login}_{ours.database.name}" for login in roles}
    for login, role in roles.items():
        execute(ours, f"create role {names[login]} login in role telemetry_{role}")
    yield names
    for name in names.values():
        execute(ours, f"reassign owned by {name} to current_user")
        execute(ours, f"drop owned by {name}")
        execute(ours, f"drop role {name}")


def test_settings_of_the_database_change_no_number(ours: DbtProject) -> None:
    for setting in SETTINGS:
        execute(ours, f"alter database {ours.database.name} set {setting}")
    for arguments in (["seed"], ["run"], ["run", "--full-refresh"]):
        add_requests(ours)
        ours.run(*arguments, "--threads", "4", report_as_of=AS_OF)
        if arguments != ["seed"]:
            assert_exact(ours)
            assert_shape_and_fingerprint(ours)
    ours.run("test", "--threads", "4", report_as_of=AS_OF, reconcile_all=True)


def test_a_hostile_public_is_never_called(ours: DbtProject, logins: dict[str, str]) -> None:
    execute(ours, HOSTILE_PUBLIC)
    execute(ours, f"alter role {logins['transformer']} set search_path = public, pg_catalog")
    for arguments in (["run"], ["run"], ["run", "--full-refresh"]):
        add_requests(ours, logins["writer"], today(ours))
        ours.run(*arguments, user=logins["transformer"])
    assert_exact(ours, today(ours))
    assert_shape_and_fingerprint(ours)
    ours.run("build", user=logins["transformer"], reconcile_all=True)
    with hostile_session(ours, logins["reader"]) as connection:
        fresh = connection.execute("select report, pending_changes from chat_reports.report_freshness").fetchall()
    assert len(fresh) == 7


def test_a_run_function_never_calls_it_either_with_another_profile(ours: DbtProject, logins: dict[str, str]) -> None:
    edit(ours, "profiles.yml", "      search_path: pg_catalog, public\n", "")
    execute(ours, HOSTILE_NAMES_OF_THE_STEPS)
    execute(ours, f"alter role {logins['transformer']} set search_path = public, pg_catalog")
    add_requests(ours)
    ours.run("run", user=logins["transformer"])
    assert_exact(ours, today(ours))
    ours.run("run", user=logins["transformer"], report_as_of=AS_OF)
    assert_exact(ours)


def test_any_member_of_the_role_runs_dbt_after_any_other(ours: DbtProject, logins: dict[str, str]) -> None:
    for user in (logins["transformer"], logins["colleague"], "telemetry_transformer", logins["colleague"]):
        add_requests(ours)
        edit(ours, "models/reports/off_topic.sql", "off_topic_count::double", "1.0 * off_topic_count::double")
        edit(ours, "models/reports/errors.yml", "How chat requests ended", "In short: How chat requests ended")
        ours.run("run", user=user, report_as_of=AS_OF)
        assert_exact(ours)
    owners = "select array_agg(distinct relowner::regrole::text) from pg_class where relkind = 'm'"
    assert value(ours, owners) == ["telemetry_transformer"]


def test_a_run_succeeds_with_a_publication_for_all_tables(ours: DbtProject) -> None:
    execute(ours, "create publication everything for all tables")
    add_requests(ours)
    ours.run("seed")
    ours.run("run", report_as_of=AS_OF)
    execute(ours, "delete from public.chat_telemetry_log where ttfb_ms < 9")
    execute(ours, "update public.chat_telemetry_log set ttfb_ms = ttfb_ms / 2")
    ours.run("run", report_as_of=AS_OF)
    ours.run("run", "--full-refresh", report_as_of=AS_OF)
    assert_exact(ours)
