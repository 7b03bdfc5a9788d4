"""The commands on a distributed log: what is erased or pruned is gone on every node."""

from __future__ import annotations

import datetime as dt
import uuid
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from chat_telemetry._cli.errors import ExitCode
from chat_telemetry._delivery.store import Store
from tests.citus.conftest import ON_CITUS
from tests.citus.feed import differences
from tests.citus.server import CitusServer
from tests.cli.conftest import Cli
from tests.dbt_project import PASSWORD, DbtProject
from tests.loader.conftest import record
from tests.loader.delivery.conftest import lines
from tests.reports.random_log import fill
from tests.reports.scenes import assert_exact, value

pytestmark = [*ON_CITUS, pytest.mark.timeout(600)]
LAST_DAY = dt.date(2026, 11, 22)


def test_an_erased_user_is_on_no_node(cluster: CitusServer, project: DbtProject, cli: Cli) -> None:
    victim = uuid.uuid4()
    with_store(project, [victim] * 40)
    fill(project.database, 1, 500, LAST_DAY, "UTC")
    project.run("run", report_as_of=LAST_DAY.isoformat())
    outcome = cli("erase", str(victim), "--no-dbt", "--yes", "--database-url", project.database.conninfo)
    assert outcome.code == ExitCode.INCOMPLETE, outcome.err  # what the reports counted leaves with the next run
    for node in cluster.nodes(project.database.name):
        with psycopg.connect(node) as connection:
            for table in ("public.chat_telemetry_log", "auth.users", "public.chat_telemetry_erased_users"):
                column = {"auth.users": "id", "public.chat_telemetry_log": "user_id"}.get(table, "user_digest")
                found = connection.execute(f"select count(*) from {table} where {column}::text = %s", [str(victim)])
                assert found.fetchone() == (0,)
            assert connection.execute("select count(*) from public.chat_telemetry_erased_users").fetchone() == (1,)
    project.run("run", report_as_of=LAST_DAY.isoformat())
    assert_exact(project, LAST_DAY.isoformat())
    assert value(project, f"select count(*) from chat_rollups.daily_users where user_id = '{victim}'") == 0


def with_store(project: DbtProject, users: list[uuid.UUID]) -> None:
    store = Store(project.database.conninfo)
    assert store.insert(lines(*(record(user_id=user) for user in users))).stored == len(users)
    store.close()


def test_old_rows_are_pruned_and_what_was_counted_stays(project: DbtProject, cli: Cli) -> None:
    today = dt.datetime.now(tz=dt.UTC).date()
    fill(project.database, 1, 800, today, "UTC")
    project.run("run")
    counted = value(project, "select sum(request_count) from chat_rollups.daily_requests")
    outcome = cli("prune", "--older-than", "90d", "--yes", "--database-url", project.database.conninfo)
    assert outcome.code == 0, outcome.err
    left = value(project, "select count(*) from public.chat_telemetry_log")
    assert 0 < left < 800
    project.run("run")
    assert value(project, "select sum(request_count) from chat_rollups.daily_requests") == counted


def test_the_commands_of_every_day_find_nothing_that_they_cannot_ask(
    project: DbtProject, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(project.database, 1, 100, dt.datetime.now(tz=dt.UTC).date(), "UTC")
    address = conninfo_to_dict(project.database.conninfo)
    project.environment()  # sets the password
    monkeypatch.setenv("CHAT_TELEMETRY_DATABASE_URL", project.database.conninfo)
    monkeypatch.setenv(
        "CHAT_TELEMETRY_DBT_URL",
        f"postgresql://telemetry_transformer:{PASSWORD}@{address['host']}:{address['port']}/{project.database.name}",
    )
    for command in ("run", "run", "report", "report latency", "check", "prices", "dashboard", "migrate --status"):
        outcome = cli(*command.split())
        assert outcome.code == 0, command + outcome.out + outcome.err
    found = cli("doctor")
    assert not [line for line in found.out.splitlines() if line.startswith("unknown ")], found.out
    fill(project.database, 2, 10, dt.datetime.now(tz=dt.UTC).date(), "UTC")
    assert cli("run").code == 0
    assert value(project, "select count(*) from public.chat_telemetry_changes") == 0


def test_a_file_is_loaded_once(project: DbtProject, cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    users = project.database.add_users(2)
    path.write_text(
        "".join(
            f'{{"log_id": "{uuid.uuid4()}", "user_id": "{user}", "user_question": "How many?"}}\n'
            for user in users * 20
        )
    )
    first = cli("load", str(path), "--database-url", project.database.conninfo)
    again = cli("load", str(path), "--database-url", project.database.conninfo)
    assert (first.code, again.code) == (0, 0), first.err
    assert "40 stored" in first.out + first.err
    assert "0 stored" in again.out + again.err
    assert value(project, "select count(*) from public.chat_telemetry_log") == 40
    assert differences(project.database) == []
