"""`chat-telemetry doctor`: it finds each planted fault, names a fix, and finds nothing where nothing is wrong."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from chat_telemetry._cli.doctor import CHECKS, surroundings
from tests.cli.conftest import Cli, Outcome
from tests.conftest import SERVERS, Database, Server, copy_of
from tests.dbt_project import DbtProject, template_with_prices

# Most of the time goes into dbt, so one server is enough.
pytestmark = pytest.mark.parametrize("postgres", SERVERS[-1:], indirect=True, scope="session")

ASK = """
insert into public.chat_telemetry_log (user_id, user_question, sql_model, sql_input_tokens)
select id, 'How many?', 'gpt-4o-mini', 1000 from auth.users
"""
# The list of the project is a fault when it is 90 days old.
CURRENT_PRICES = r"""
update chat_prices.token_prices set source = regexp_replace(source, '\d+-\d+-\d+$', current_date::text)
"""


@dataclass(frozen=True)
class Fault:
    """A fault, the check that finds it, and words of the text and of the fix."""

    statement: str
    check: str
    text: str
    fix: str
    level: str = "fault"


FAULTS = {
    "pending migration": Fault(
        "delete from chat_telemetry_migrations._yoyo_migration where migration_id like '%create_alerts'",
        *("migrations", "1 migration pending: 20261123001550_create_alerts", "chat-telemetry migrate"),
    ),
    "missing column": Fault(
        "alter table public.chat_telemetry_log drop column ttfb_ms cascade",
        *("log", "but without: ttfb_ms integer", "alter table"),
    ),
    "required column": Fault(
        "delete from public.chat_telemetry_log; alter table public.chat_telemetry_log add tenant text not null",
        *("log", "the column tenant is required, has no default", "alter table"),
    ),
    "missing index": Fault(
        "drop index public.idx_chat_telemetry_error",
        *("indexes", "idx_chat_telemetry_error of the log is missing", "*_create_log_indexes.sql"),
    ),
    "invalid index": Fault(
        "update pg_index set indisvalid = false where indexrelid = 'public.idx_chat_telemetry_user_id'::regclass",
        *(
            "indexes",
            "idx_chat_telemetry_user_id of the log is invalid",
            "drop index public.idx_chat_telemetry_user_id",
        ),
    ),
    "disabled trigger": Fault(
        "alter table public.chat_telemetry_log disable trigger trg_feed_inserts",
        *("triggers", "trg_feed_inserts of public.chat_telemetry_log is disabled"),
        "enable trigger trg_feed_inserts; then chat-telemetry dbt run --full-refresh",
    ),
    "all triggers disabled": Fault(
        "alter table public.chat_telemetry_log disable trigger user",
        *("triggers", "trg_compute_sql_fingerprint of public.chat_telemetry_log is disabled", "*_correct_fingerprints"),
    ),
    "missing trigger": Fault(
        "drop trigger trg_note_erased_users on auth.users",
        *("triggers", "trg_note_erased_users of auth.users is missing", "*_create_erased_users.sql"),
    ),
    "another function": Fault(
        "create or replace trigger trg_feed_deletes after delete on public.chat_telemetry_log for each statement"
        " execute function public.chat_telemetry_refuse_truncate()",
        *(
            "triggers",
            "trg_feed_deletes of public.chat_telemetry_log runs another function",
            "*_create_change_feed.sql",
        ),
    ),
    "foreign trigger": Fault(
        "create function public.spy() returns trigger language plpgsql as 'begin return new; end';"
        "alter function public.spy() owner to pg_monitor;"
        "create trigger a_spy before insert on public.chat_telemetry_log for each row execute function public.spy()",
        *("trust", "the trigger a_spy of public.chat_telemetry_log runs a function of another role", ""),
    ),
    "row security off": Fault(
        "alter table public.chat_telemetry_log disable row level security",
        *("policies", "row level security of public.chat_telemetry_log is off", "enable row level security"),
    ),
    "missing policy": Fault(
        "drop policy telemetry_writer_inserts on public.chat_telemetry_log",
        *("policies", "telemetry_writer_inserts of public.chat_telemetry_log is missing", "*_restrict_log_access.sql"),
    ),
    "policy of others": Fault(
        "create policy own_rows on public.chat_telemetry_log using (true)",
        *("policies", "the policy own_rows of public.chat_telemetry_log is not of", "drop policy own_rows", "note"),
    ),
    "missing right": Fault(
        "revoke insert on public.chat_telemetry_log from telemetry_writer",
        *("rights", "telemetry_writer may not insert public.chat_telemetry_log", "*_restrict_log_access.sql"),
    ),
    "unreadable column": Fault(
        "revoke select (created_at) on public.chat_telemetry_log from telemetry_transformer",
        *("rights", "telemetry_transformer may not read the column created_at", "*_restrict_log_access.sql"),
    ),
    "blanket grant": Fault(
        "grant trigger, select on all tables in schema public to pg_monitor",
        *("grants", "pg_monitor may select, trigger on public.chat_telemetry_changes", "from pg_monitor"),
    ),
    "exposed reports": Fault(
        "grant usage on schema chat_reports to public; grant select on chat_reports.token_cost to public",
        *("api", "public may read chat_reports.token_cost", "revoke usage on schema chat_reports from public"),
    ),
    "publication of a schema": Fault(
        "create publication all_of_it for tables in schema public",
        *("publications", "the publication all_of_it sends", "publish single tables instead of all", "note"),
    ),
    "publication": Fault(
        "create publication live for table public.chat_telemetry_log",
        *("publications", "the publication live sends chat_telemetry_log", "alter publication live drop table", "note"),
    ),
    "missing report": Fault(
        "drop materialized view chat_reports.latency",
        *("reports", "the report latency does not exist", "chat-telemetry run"),
    ),
    "unpopulated report": Fault(
        "refresh materialized view chat_reports.errors with no data",
        *("reports", "the report errors has no rows yet", "chat-telemetry run"),
    ),
    "blocking report": Fault(
        "do $$ begin execute format('drop index %s', chat_rollups.unique_index_of('chat_reports.off_topic')); end $$",
        *("reports", "the report off_topic has no unique index", "run --full-refresh --select off_topic"),
    ),
    "report of others": Fault(
        "alter materialized view chat_reports.errors owner to pg_monitor",
        *("reports", "the report errors belongs to pg_monitor", "owner to telemetry_transformer"),
    ),
    "old reports": Fault(
        "update chat_rollups.report_state set refreshed_at = now() - interval '2 days' where report = 'errors'",
        *("freshness", "not refreshed for more than a day: errors", "by a schedule"),
    ),
    "rollup left out": Fault(
        "update chat_rollups.progress set drain_number = drain_number - 1 where name = 'daily_users'",
        *("freshness", "daily_users has not counted the last drains", "without --select"),
    ),
    "backlog": Fault(
        "insert into public.chat_telemetry_changes (log_id, sign, is_off_topic, created_at, user_id)"
        " select gen_random_uuid(), 1, false, now(), gen_random_uuid() from generate_series(1, 100001);"
        "update chat_rollups.report_state set refreshed_at = now() - interval '16 minutes'",
        *("freshness", "100001 changes wait in the feed", "by a schedule"),
    ),
    "never run": Fault(
        "delete from chat_rollups.report_state",
        *("freshness", "dbt never ran", "chat-telemetry run"),
    ),
    "future rows": Fault(
        ASK.replace("user_question,", "user_question, created_at,").replace("'How many?',", "'?', now() + '2 days',"),
        *("rows", "1 requests have a time in the future", "clocks"),
    ),
    "impossible values": Fault(
        "update chat_rollups.report_state set left_out_count = 3",
        *("rows", "leave out up to 3 requests", "left_out_count", "note"),
    ),
    "pruned": Fault(
        "update chat_rollups.progress set horizon = '2026-01-01' where name = 'drained_changes'",
        *("rows", "the reports equal the log from 2026-01-01 on", "", "note"),
    ),
    "another feed owner": Fault(
        "update chat_rollups.progress set owner = 'ci' where name = 'drained_changes'",
        *("dbt", 'belong to the dbt target schema "ci", not to "chat_telemetry"', "migrate --owner chat_telemetry"),
    ),
    "old price": Fault(
        "insert into chat_rollups.own_prices values ('gpt-4o-mini', '2026-01-01', 1, 1, 1, 'contract', '2026-01-01');"
        "update chat_rollups.price_periods set source = 'contract', valid_from = '2026-01-01' where price_model ="
        " 'gpt-4o-mini' and valid_until > now()",
        *("prices", "prices that were not confirmed for 90 days: gpt-4o-mini", "chat-telemetry prices"),
    ),
}


@pytest.fixture(scope="module")
def built(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with copy_of(postgres, template_with_prices(postgres), "built") as database:
        database.add_users()
        with database.connect() as connection:
            connection.execute(ASK)
            connection.execute(CURRENT_PRICES)
        DbtProject(database, tmp_path_factory.mktemp("built")).run("run")
        yield database


@pytest.fixture(scope="module")
def password(built: Database, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables of dbt. Roles belong to the server, so they are set once."""
    return DbtProject(built, tmp_path_factory.mktemp("password")).environment()


@pytest.fixture
def database(
    postgres: Server, built: Database, password: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Database]:
    with copy_of(postgres, built.name) as database:
        for variable, value in {**password, "CHAT_TELEMETRY_DBT_DATABASE": database.name}.items():
            monkeypatch.setenv(variable, value)
        yield database


def findings(outcome: Outcome) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(outcome.out)
    return found


def execute(database: Database, statement: str) -> None:
    with database.connect() as connection:
        connection.execute(statement.encode())


def test_nothing_is_wrong_with_a_database_that_was_set_up(cli: Cli, database: Database) -> None:
    outcome = cli("doctor", "--json", database=database)
    found = findings(outcome)
    assert (outcome.code, outcome.err) == (0, "")
    assert {finding["level"] for finding in found} == {"ok"}, found
    assert [finding["check"] for finding in found] == [*CHECKS, "dbt", "prices"]
    as_text = cli("doctor", database=database)
    assert as_text.out.count("\n") == len(found)
    assert "ok       triggers     every trigger is enabled\n" in as_text.out


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_with_its_fix(cli: Cli, database: Database, name: str) -> None:
    fault = FAULTS[name]
    execute(database, fault.statement)
    outcome = cli("doctor", "--json", database=database)
    found = [each for each in findings(outcome) if each["level"] not in ("ok", "unknown")]
    first = next((each for each in found if each["check"] == fault.check and fault.text in each["text"]), None)
    assert first, found
    assert (first["level"], fault.fix in first["fix"]) == (fault.level, True), first
    assert "\n" not in first["text"] + first["fix"]
    assert outcome.code == (6 if any(each["level"] == "fault" for each in found) else 0)


def test_an_empty_database_has_faults_and_no_traceback(cli: Cli, empty_database: Database) -> None:
    outcome = cli("doctor", "--json", database=empty_database)
    found = {finding["check"]: finding for finding in findings(outcome)}
    assert outcome.code == 6
    assert found["migrations"]["fix"] == "chat-telemetry migrate"
    assert found["log"]["level"] == "unknown"
    assert (found["dbt"]["level"], outcome.err) == ("unknown", "")


def test_a_role_that_sees_less_says_what_it_could_not_check(cli: Cli, database: Database) -> None:
    execute(database, "alter role telemetry_transformer login")
    outcome = cli("doctor", "--json", "--database-url", database.conninfo_as("telemetry_transformer"))
    unknown = {finding["check"]: finding["text"] for finding in findings(outcome) if finding["level"] == "unknown"}
    assert unknown.keys() >= {"log", "triggers", "trust"}
    assert outcome.code == 1


def test_without_the_connection_of_dbt_the_rest_is_checked(
    cli: Cli, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CHAT_TELEMETRY_DBT_HOST")
    outcome = cli("doctor", database=database)
    assert outcome.code == 1
    assert "unknown  dbt          what dbt sees is not checked: the connection of dbt is not known" in outcome.out
    monkeypatch.setenv("CHAT_TELEMETRY_DBT_URL", "postgresql://127.0.0.1:1/app")
    outcome = cli("doctor", database=database)
    assert outcome.code == 6
    assert "fault    dbt          CHAT_TELEMETRY_DBT_URL does not connect dbt" in outcome.out


def test_unpriced_calls_and_a_wrong_version_of_dbt_are_found(
    cli: Cli, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute(database, ASK.replace("gpt-4o-mini", "mystery"))
    DbtProject(database, tmp_path).run("run")
    monkeypatch.setattr(surroundings, "version", {"dbt-core": "2.0.1", "dbt-postgres": "2.0.1"}.__getitem__)
    outcome = cli("doctor", database=database)
    assert "fault    prices       calls without a price: mystery. Fix: chat-telemetry prices\n" in outcome.out
    assert "fault    dbt          dbt 2.0.1 is not supported. Fix: pip install 'dbt-core>=1.11,<1.13'\n" in outcome.out


def test_a_clock_that_differs_is_found(cli: Cli, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time
    for seconds, words in ((3600, r"3,(59|60)\d s ahead of"), (-60, r"(5\d|6\d) s behind")):
        monkeypatch.setattr(time, "time", lambda seconds=seconds: now() + seconds)
        out = cli("doctor", database=database).out
        fault = f"fault    clocks       the clock of this machine is {words} the server's. Fix: set it by NTP"
        assert re.search(fault, out), out


@pytest.mark.parametrize(
    ("mode", "is_encrypted", "state"),
    [
        ("prefer", False, "not encrypted"),
        ("require", True, "encrypted, but the server is not verified"),
        ("verify-full", True, None),
    ],
)
def test_a_connection_to_another_machine_has_to_verify_it(
    database: Database, monkeypatch: pytest.MonkeyPatch, mode: str, is_encrypted: bool, state: str | None
) -> None:
    monkeypatch.setattr(psycopg.ConnectionInfo, "host", "db.example.com")
    monkeypatch.setattr(psycopg.ConnectionInfo, "get_parameters", lambda _: {"sslmode": mode})
    monkeypatch.setattr(surroundings, "is_encrypted", lambda _: is_encrypted)
    with database.connect() as connection:
        ((level, text, fix),) = surroundings.connection_is_safe(connection)
    assert (level, fix) == (("fault", "add sslmode=verify-full to the URL") if state else ("ok", ""))
    assert text.endswith(f": the connection is {state}" if state else "at db.example.com")


def test_what_waits_in_a_journal_directory_is_found(
    cli: Cli, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "journal"
    directory.mkdir(mode=0o700)
    monkeypatch.setenv("CHAT_TELEMETRY_JOURNAL_DIR", str(directory))
    assert f"ok       journals     nothing waits in {directory}\n" in cli("doctor", database=database).out
    (directory / "dead-letters.jsonl").write_text("{}\n{}\n")
    (directory / f"journal-{uuid.uuid4()}.jsonl").write_text("[]\n")
    found = cli("doctor", "--journal-dir", str(directory), database=database)
    assert found.code == 6
    replay = f"chat-telemetry replay --journal-dir {directory}\n"
    assert f"fault    journals     2 dead letters in {directory}. Fix: fix the reason, then {replay}" in found.out
    assert f"fault    journals     1 journal of dead processes in {directory}. Fix: {replay}" in found.out
    directory.chmod(0o777)
    assert cli("doctor", database=database).out.splitlines()[-1].startswith("unknown  journals     ")


def test_what_looks_like_a_fault_and_is_none_is_not_reported(cli: Cli, database: Database) -> None:
    execute(
        database,
        "create table public.chat_telemetry_settings (); grant all on public.chat_telemetry_settings to public;"
        "grant select on chat_reports.errors to public;"
        + ASK.replace("user_question,", "user_question, created_at,").replace("'How many?',", "'?', now() + '5 s',"),
    )
    found = findings(cli("doctor", "--json", database=database))
    assert {finding["level"] for finding in found} == {"ok"}, found
    with database.connect() as running, running.transaction():
        execute(database, "update chat_rollups.progress set drain_number = drain_number - 1 where name = 'daily_users'")
        running.execute("select from chat_rollups.progress for update")
        found = findings(cli("doctor", "--json", database=database))
    assert [finding["level"] for finding in found if finding["check"] == "freshness"] == ["note"]


def test_no_name_of_doctor_is_looked_up_in_public(cli: Cli, database: Database) -> None:
    execute(
        database,
        "create function public.clock_timestamp() returns timestamptz language plpgsql as"
        " $$ begin raise exception 'code of somebody else ran as %', current_user; end $$;"
        f"alter database {database.name} set search_path = public, pg_catalog",
    )
    outcome = cli("doctor", database=database)
    assert (outcome.code, "somebody else" in outcome.out) == (0, False)


def test_a_url_that_dbt_cannot_use_is_a_fault(cli: Cli, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    for url in ("postgresql://h/app?options=-cx", "postgresql://a:p@ss@h/app"):
        monkeypatch.setenv("CHAT_TELEMETRY_DBT_URL", url)
        outcome = cli("doctor", database=database)
        assert outcome.code == 6
        assert outcome.out.splitlines()[-1].startswith("fault    dbt ")
        assert "p@ss" not in outcome.out


def test_the_roles_of_supabase_may_not_reach_a_report(cli: Cli, database: Database) -> None:
    name = sql.Identifier("anon")
    with database.connect() as connection:
        connection.execute(sql.SQL("do $$ begin create role {} ; exception when others then end $$").format(name))
        connection.execute("grant usage on schema chat_reports to anon; grant select on chat_reports.latency to anon")
    assert (
        "fault    api          anon may read chat_reports.latency. Fix: revoke usage"
        in cli("doctor", database=database).out
    )
    execute(database, "drop owned by anon")
