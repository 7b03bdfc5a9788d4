"""dbt in a database with unusual settings and objects of others: the reports are exact."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from chat_telemetry import TelemetryRecord
from chat_telemetry._cli.app import run
from chat_telemetry._cli.price_file import Price
from chat_telemetry._delivery.connection import _CANCEL_ABANDONED
from chat_telemetry._delivery.store import USER_ERASED, Store
from chat_telemetry._encoding import encode
from tests.conftest import SERVERS
from tests.dbt_project import NO_UNIT_TESTS, PASSWORD, DbtProject
from tests.reports.contract import COLUMNS
from tests.reports.scenes import AS_OF, assert_exact, edit, execute, value

# Most of the time goes into dbt, so one server is enough.
pytestmark = pytest.mark.parametrize("postgres", SERVERS[-1:], indirect=True, scope="session")

HOSTILE_PUBLIC, BETTER_MATCHES = (
    (Path(__file__).parent / name).read_text(encoding="utf-8") for name in ("hostile_public.sql", "better_matches.sql")
)
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


DEFAULT_PATH = '"$user",public'
# Each kind of thing in public. Without them the tests would prove nothing.
CALLS_OF_PUBLIC = [
    *(("public,pg_catalog", f"select {call}") for call in ("now()", "1 + 1", "max(1)", "'a'::text")),
    (DEFAULT_PATH, "select 1::oid = 'pg_class'::regclass"),
    (DEFAULT_PATH, "select 1::bigint > 1.5::double precision"),
    (DEFAULT_PATH, "select quote_ident('a'::name)"),
    (DEFAULT_PATH, "select to_json(r) from (select 1 as n) as r"),
    (DEFAULT_PATH, "select array_position(array['a'], 'a'::text)"),
    (DEFAULT_PATH, "select num_nonnulls(1, 2)"),
    (DEFAULT_PATH, "select count(relname) from pg_class"),
    (DEFAULT_PATH, "select string_agg(relname, ',') from pg_class"),
]


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
    roles = {
        "transformer": "telemetry_transformer",
        "colleague": "telemetry_transformer",
        "writer": "telemetry_writer",
        "reader": "telemetry_reader",
        "operator": "service_role",
    }
    names = {login: f"{login}_{ours.database.name}" for login in roles}
    for login, role in roles.items():
        execute(ours, f"create role {names[login]} login password '{PASSWORD}' in role {role}")
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
    ours.run("test", *NO_UNIT_TESTS, "--threads", "4", report_as_of=AS_OF, reconcile_all=True)


@pytest.fixture
def hostile(ours: DbtProject, logins: dict[str, str]) -> DbtProject:
    """A database where others put functions, operators, types and tables into public, which fail if they are used.

    The search_path of `transformer` and `writer` begins with public. The others have the default one, where only a
    better match is called. The sessions of the tests themselves call nothing of public.
    """
    execute(ours, HOSTILE_PUBLIC)
    execute(ours, BETTER_MATCHES)
    execute(ours, f"alter role current_user in database {ours.database.name} set search_path = pg_catalog")
    for login in ("transformer", "writer"):
        execute(ours, f"alter role {logins[login]} set search_path = public, pg_catalog")
    with ours.database.connect() as connection:
        for search_path, query in CALLS_OF_PUBLIC:
            connection.execute(f"set search_path = {search_path}")
            with pytest.raises(psycopg.Error, match=r"something of public was called|hostile"):
                connection.execute(query)
    return ours


def test_a_hostile_public_is_never_called(hostile: DbtProject, logins: dict[str, str]) -> None:
    for arguments, user in (
        (["run"], "transformer"),
        (["run"], "colleague"),
        (["run", "--full-refresh"], "transformer"),
    ):
        add_requests(hostile, logins["writer"], today(hostile))
        hostile.run(*arguments, user=logins[user])
    assert_exact(hostile, today(hostile))
    assert_shape_and_fingerprint(hostile)
    hostile.run("build", user=logins["colleague"], reconcile_all=True)
    with hostile_session(hostile, logins["reader"]) as connection:
        fresh = connection.execute("select report, pending_changes from chat_reports.report_freshness").fetchall()
    assert len(fresh) == 7


def test_neither_a_command_nor_the_loader_calls_it(
    hostile: DbtProject, logins: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    urls = {login: hostile.database.conninfo_as(name) + f" password={PASSWORD}" for login, name in logins.items()}
    urls["admin"] = hostile.database.conninfo
    (erased,) = hostile.database.add_users()
    execute(hostile, f"delete from auth.users where id = '{erased}'")
    monkeypatch.chdir(hostile.scratch)
    Path("journal").mkdir(mode=0o700)
    Path("own.csv").write_text(f"{','.join(Price._fields)}\nm,2026-01-01,1,,2,contract\n")

    def command(login: str, *arguments: str) -> str:
        code = run([*arguments, "--database-url", urls[login]])
        out, err = capsys.readouterr()
        assert code == 0, err
        return str(out)

    for search_path in ("public,pg_catalog", DEFAULT_PATH):
        monkeypatch.setenv("PGOPTIONS", f"-c search_path={search_path}")
        for report in COLUMNS:
            for layout in (["-f", "table"], ["-f", "csv"], ["-f", "json"]):
                assert command("reader", "report", report, *layout) == command("admin", "report", report, *layout)
        for options in ([], ["--json"], ["--missing"]):
            assert command("transformer", "prices", *options)
        assert command("admin", "prices", "set", "own.csv").startswith("1 price set")
        assert "m,2026-01-01" in command("admin", "prices", "unset", "m")
        user = uuid.uuid4()
        line = {"user_id": str(user), "conversation_id": str(uuid.uuid4()), "user_question": "?"}
        Path("requests.jsonl").write_text(json.dumps(line) + "\n")
        assert "1 stored" in command("operator", "load", "requests.jsonl", "--create-parents")
        assert "0 rejected" in command("writer", "replay", "--journal-dir", "journal")
        with closing(Store(urls["writer"])) as store:
            assert_every_statement_succeeds(store, user, erased)


def assert_every_statement_succeeds(store: Store, user: uuid.UUID, erased: uuid.UUID) -> None:
    """Known and unknown users and conversations, an erased user, the cancelling of a statement."""

    def line(user_id: uuid.UUID, conversation: uuid.UUID | None = None) -> bytes:
        asked = TelemetryRecord(user_id=user_id, user_question="?", conversation_id=conversation)
        asked.follow_up_suggestions = ["Why?"]
        return encode(asked)

    unknown = [line(uuid.uuid4(), uuid.uuid4()), line(user, uuid.uuid4())]
    for lines in ([line(user)], unknown[:1], unknown[1:], unknown, [line(uuid.uuid4()), line(user, uuid.uuid4())]):
        outcome = store.insert(lines)
        assert outcome.stored + outcome.duplicates == len(lines), outcome
    outcome = store.insert([line(erased), line(user)])
    assert [(r.index, r.reason) for r in outcome.rejected] == [(0, USER_ERASED)]
    store._connected().execute(_CANCEL_ABANDONED, [1])


def test_a_run_function_never_calls_it_either_with_another_profile(ours: DbtProject, logins: dict[str, str]) -> None:
    edit(ours, "profiles.yml", "      search_path: pg_catalog\n", "")
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
