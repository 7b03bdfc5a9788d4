"""The commands through a pooler in transaction mode: they work, and its sessions keep nothing of them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from chat_telemetry._cli.price_file import Price
from tests.cli.conftest import Cli, line
from tests.conftest import Database
from tests.loader.faults.pgbouncer import pgbouncer

PASSWORD = "secret"  # noqa: S105 - of a login of these tests
RIGHTS = """
grant telemetry_reader, service_role to {login};
grant usage on schema chat_rollups to {login};
grant all on table chat_rollups.own_prices to {login};
create materialized view chat_reports.off_topic as select 7 as day;
grant select on chat_reports.off_topic to telemetry_reader;
"""
# What pgbouncer itself sets for its clients is left out.
SET_IN_THE_SESSION = """
select name, setting from pg_settings where source = 'session'
and name not in ('application_name', 'client_encoding', 'DateStyle', 'TimeZone', 'standard_conforming_strings')
    and name <> 'transaction_isolation'  -- each transaction begins with default_transaction_isolation
"""


@pytest.fixture
def pooled(database: Database) -> Iterator[str]:
    """The connection string of a login that may do everything, for a pooler with one session."""
    login = f"pooled_{database.name}"
    with database.connect() as connection:
        connection.execute(f"create role {login} login password '{PASSWORD}'")
        connection.execute(RIGHTS.format(login=login))
    with pgbouncer(*database.server.address(), user=login, password=PASSWORD, pool_size=1) as port:
        yield make_conninfo(host="127.0.0.1", port=port, dbname=database.name, user=login, password=PASSWORD)
    with database.connect() as connection:
        connection.execute(f"drop owned by {login}; drop role {login}")


def test_the_commands_work_and_the_session_keeps_nothing(cli: Cli, pooled: str, tmp_path: Path) -> None:
    lines = [line(uuid.uuid4(), conversation_id=str(uuid.uuid4())) for _ in range(7000)]
    (tmp_path / "requests.jsonl").write_text("\n".join(lines))
    (tmp_path / "own.csv").write_text(f"{','.join(Price._fields)}\nm,2026-01-01,1,,2,contract\n")
    for _ in range(7):  # psycopg prepares what a connection executes often, unless that is switched off
        outcome = cli("report", "off_topic", "-f", "csv", "--database-url", pooled)
        assert (outcome.code, outcome.out) == (0, "day\n7\n"), outcome.err
        outcome = cli("prices", "set", "own.csv", "--database-url", pooled)
        assert outcome.code == 0, outcome.err
    outcome = cli("load", "requests.jsonl", "--create-parents", "--database-url", pooled)
    assert outcome.out.startswith("requests.jsonl: 7,000 lines: 7,000 stored"), outcome.err
    with psycopg.connect(pooled, autocommit=True, prepare_threshold=None) as connection:
        assert connection.execute(SET_IN_THE_SESSION).fetchall() == []
        assert connection.execute("select from pg_prepared_statements").fetchall() == []
        assert connection.execute("select current_user = session_user").fetchone() == (True,)
