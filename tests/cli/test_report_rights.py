"""`chat-telemetry report` reads with the rights of telemetry_reader, whatever login and whatever is in a report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.pq import ExecStatus

from chat_telemetry._cli.embedded_postgres import EmbeddedPostgres
from chat_telemetry._cli.migrations import apply_migrations
from chat_telemetry._cli.options import connect
from chat_telemetry._cli.report import show
from tests.cli.conftest import Cli
from tests.cli.hostile_reports import REPORTS, calls_and_loot, put_code
from tests.conftest import FAST_AND_LOOSE, Database, cluster_directory

PASSWORD = "secret"  # noqa: S105 - of logins of these tests
# None of them is a superuser. The transactions of the analyst are read-only by default.
LOGINS = {"owner": "createrole", "member": "", "analyst": "", "stranger": "", "Odd Name": ""}
MEMBERS = ("owner", "member", "analyst")
REPORT = "create materialized view chat_reports.off_topic as select date '2026-11-23' as day, 12345678901234567.25 as n"
GRANT = "grant select on chat_reports.off_topic to telemetry_reader"
JSON = '[{"day":"2026-11-23","n":12345678901234567.25}]\n'


@pytest.fixture
def logins(database: Database) -> Iterator[dict[str, str]]:
    """The quoted names of LOGINS, each with the name of the database at its end."""
    names = {login: f'"{login} {database.name}"' for login in LOGINS}
    with database.connect() as connection:
        for login, name in names.items():
            connection.execute(f"create role {name} login password '{PASSWORD}' {LOGINS[login]}")
        connection.execute(f"grant telemetry_reader to {', '.join(names[login] for login in MEMBERS)}")
        connection.execute(f"alter database {database.name} owner to {names['owner']}")
        connection.execute(f"alter role {names['analyst']} set default_transaction_read_only = on")
    yield names
    everybody = ", ".join(names.values())
    with database.connect() as connection:
        connection.execute(f"reassign owned by {everybody} to current_user")
        connection.execute(f"drop owned by {everybody}")
        connection.execute(f"drop role {everybody}")


def conninfo(database: Database, login: str) -> str:
    return make_conninfo(database.conninfo, user=login.strip('"'), password=PASSWORD)


def create_report(database: Database) -> None:
    with database.as_role("telemetry_transformer") as connection:
        connection.execute(REPORT)
        connection.execute(GRANT)


@pytest.mark.parametrize("kind", REPORTS)
@pytest.mark.parametrize("caller", ["superuser", "owner", "member"])
def test_code_in_a_report_never_has_the_rights_of_the_login(
    cli: Cli, database: Database, logins: dict[str, str], kind: str, caller: str
) -> None:
    login = logins.get(caller, "current_user")
    name = put_code(database, kind, login)
    url = database.conninfo if caller == "superuser" else conninfo(database, login)
    for number, output in enumerate(("table", "csv", "json"), start=1):
        outcome = cli("report", name, "--format", output, "--database-url", url)
        assert (outcome.code, outcome.err) == (0, "")
        calls, loot = calls_and_loot(database)
        assert calls >= number
        assert loot == 0


@pytest.mark.parametrize("kind", REPORTS)
def test_the_same_code_takes_the_rights_of_a_login_that_only_sets_the_role(database: Database, kind: str) -> None:
    """Otherwise the test above would prove nothing."""
    name = put_code(database, kind, "current_user")
    with database.connect() as connection, connection.transaction(force_rollback=True):
        connection.execute("set local role telemetry_reader")
        columns = "period::text" if name == "latency" else "to_json(report)"
        connection.execute(f"select {columns} from chat_reports.{name} as report")
    calls, loot = calls_and_loot(database)
    assert calls > 0
    assert loot > 0


def test_a_session_keeps_nothing_of_the_code(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """A pooler gives the session to an application, whose prepared statements must be its own."""
    put_code(database, "a function in a view", "current_user")
    with database.as_role("telemetry_transformer") as connection:
        connection.execute("""
            create or replace function chat_reports.code() returns integer language plpgsql as $$
            begin
                deallocate all;
                prepare theirs as select chat_reports.take();
                perform pg_advisory_lock(1);
                raise 'failed';
            end
            $$
        """)
    state = "select current_user, current_setting('search_path'), current_setting('transaction_read_only')"
    with connect(database.conninfo) as connection:
        before = connection.execute(state).fetchall()
        assert connection.pgconn.prepare(b"theirs", b"select 5").status == ExecStatus.COMMAND_OK
        with pytest.raises(psycopg.errors.RaiseException, match="failed"):
            show(connection, "off_topic", 5)
        assert connection.pgconn.exec_prepared(b"theirs", []).status == ExecStatus.FATAL_ERROR
        assert connection.execute(state).fetchall() == before
        for remainder in (
            "pg_prepared_statements",
            "pg_locks where locktype = 'advisory'",
            "pg_proc where pronamespace = pg_my_temp_schema()",
        ):
            assert connection.execute(f"select from {remainder}").fetchall() == []
    assert calls_and_loot(database)[1] == 0


@pytest.mark.parametrize("caller", MEMBERS)
def test_a_member_of_the_reader_role_reads(cli: Cli, database: Database, logins: dict[str, str], caller: str) -> None:
    create_report(database)
    outcome = cli("report", "off_topic", "-f", "json", "--database-url", conninfo(database, logins[caller]))
    assert (outcome.code, outcome.out, outcome.err) == (0, JSON, "")


@pytest.mark.parametrize("caller", ["stranger", "Odd Name"])
def test_a_login_that_is_no_member_reads_the_grant_in_the_error(
    cli: Cli, database: Database, logins: dict[str, str], caller: str
) -> None:
    create_report(database)
    outcome = cli("report", "off_topic", "--database-url", conninfo(database, logins[caller]))
    assert outcome.code == 3
    login = logins[caller]
    assert outcome.err == (
        f"error: {login.strip(chr(34))} may not read as telemetry_reader: `grant telemetry_reader to {login}` allows"
        " it, or connect as telemetry_reader to read the reports\n"
    )
    with database.connect() as connection:
        connection.execute(f"grant telemetry_reader to {login}")
    assert cli("report", "off_topic", "--database-url", conninfo(database, login)).code == 0


def test_a_report_that_the_reader_may_not_read_is_named_with_the_grant(cli: Cli, database: Database) -> None:
    with database.as_role("telemetry_transformer") as connection:
        connection.execute('create materialized view chat_reports."My report" as select 1 as day, 2 as n')
    outcome = cli("report", "My report", database=database)
    grant = 'grant select on chat_reports."My report" to telemetry_reader'
    assert outcome.code == 3
    assert outcome.err == f"error: permission denied for materialized view My report: `{grant}` allows it\n"
    with database.connect() as connection:
        connection.execute(grant)
    assert cli("report", "My report").code == 0


def test_without_temporary_functions_only_the_reader_itself_reads(
    cli: Cli, database: Database, logins: dict[str, str]
) -> None:
    create_report(database)
    with database.connect() as connection:
        connection.execute(f"revoke temporary on database {database.name} from public")
    for url in (database.conninfo, conninfo(database, logins["member"])):
        outcome = cli("report", "off_topic", "--database-url", url)
        assert outcome.code == 3
        assert outcome.err.startswith("error: permission denied to create temporary tables in database ")
        assert outcome.err.endswith(": connect as telemetry_reader to read the reports\n")
    with database.connect() as connection:
        connection.execute(f"alter role telemetry_reader login password '{PASSWORD}'")
    outcome = cli("report", "off_topic", "-f", "json", "--database-url", conninfo(database, "telemetry_reader"))
    assert (outcome.code, outcome.out) == (0, JSON)


@pytest.fixture(params=[16, 18])
def server(request: pytest.FixtureRequest) -> Iterator[EmbeddedPostgres]:
    """A server that a test may start as a standby, without the roles of the project."""
    with cluster_directory() as directory:
        server = EmbeddedPostgres(Path(directory), version=request.param, settings=FAST_AND_LOOSE)
        server.start()
        yield server
        server.stop("immediate")


def test_on_a_standby_only_the_reader_itself_reads(cli: Cli, server: EmbeddedPostgres) -> None:
    apply_migrations(server.conninfo())
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        connection.execute(REPORT)
        connection.execute(GRANT)
        connection.execute("alter role telemetry_reader login")
    server.stop()
    (server.data / "standby.signal").touch()
    server.start()
    outcome = cli("report", "off_topic", "--database-url", server.conninfo())
    assert outcome.code == 3
    assert outcome.err == "error: this server is a standby: connect as telemetry_reader to read the reports\n"
    outcome = cli("report", "off_topic", "-f", "json", "--database-url", server.conninfo(user="telemetry_reader"))
    assert (outcome.code, outcome.out) == (0, JSON)


def test_without_the_role_the_error_says_to_migrate(cli: Cli, server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        connection.execute("create schema chat_reports")
        connection.execute(REPORT)
    outcome = cli("report", "off_topic", "--database-url", server.conninfo())
    assert outcome.code == 4
    assert outcome.err == "error: the server has no role telemetry_reader: run `chat-telemetry migrate`\n"
