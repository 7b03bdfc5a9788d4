"""A run refreshes only the reports that show what changed. A restored dump needs one run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.conftest import SERVERS, Server
from tests.dbt_project import DbtProject, results
from tests.reports.contract import COLUMNS
from tests.reports.history.dump import client_programs, dumping, restore
from tests.reports.scenes import AS_OF, assert_exact, edit, execute, footprint, value

# Most of the time goes into dbt, so one server is enough.
pytestmark = pytest.mark.parametrize("postgres", SERVERS[-1:], indirect=True, scope="session")

PRICED = {"token_cost", "user_usage", "model_comparison"}
COUNT_COMMANDS = """
create table public.commands (tag text);
grant insert on public.commands to public;
create function public.note_command() returns event_trigger language plpgsql as
$$ begin insert into public.commands values (tg_tag); end $$;
create event trigger note_commands on ddl_command_end execute function public.note_command();
"""
# A concurrent refresh also creates a temporary table.
COMMANDS = "select array_agg(tag order by tag) from public.commands where tag not like '% TABLE'"
WITHOUT_STATISTICS = """
select array_agg(c.relname || '.' || a.attname order by c.relname, a.attnum)
from pg_attribute as a inner join pg_class as c on a.attrelid = c.oid
where c.relkind = 'm' and c.relnamespace = 'chat_reports'::regnamespace and a.attnum > 0 and a.attstattarget = 0
"""
IDS_AND_TEXTS = [
    *["sql_patterns.sql_fingerprint", "sql_patterns.example_sql", "sql_patterns.sql_shape"],
    "user_usage.user_id",
]


def outcomes(project: DbtProject, *arguments: str, report_as_of: str = AS_OF) -> dict[str, str]:
    """The text that each run function of a run returned, by model."""
    outcome = project.run("run", *arguments, report_as_of=report_as_of)
    return {r.node.name: r.message for r in results(outcome)}


def commands_on_reports(project: DbtProject) -> list[str]:
    """The tags of the commands that created, changed or refreshed something."""
    return list(value(project, COMMANDS))


def refreshed(said: dict[str, str]) -> set[str]:
    assert {said[report] for report in COLUMNS} <= {"refreshed", "nothing new"}, said
    return {report for report in COLUMNS if said[report] == "refreshed"}


def test_a_run_without_changes_writes_nothing(ours: DbtProject) -> None:
    """`ours` is a copy of the database under another name, so the name of the database makes no difference."""
    execute(ours, COUNT_COMMANDS)
    before = footprint(ours)
    noted = value(ours, "select min(refreshed_at) from chat_reports.report_freshness")
    said = outcomes(ours)
    assert set(said.values()) == {"0 changes drained", "nothing new"}
    assert footprint(ours) == before
    assert value(ours, "select count(*) from public.commands") == 0
    assert value(ours, "select min(refreshed_at) from chat_reports.report_freshness") > noted


def test_a_new_request_refreshes_every_report_and_replaces_none(ours: DbtProject) -> None:
    execute(ours, COUNT_COMMANDS)
    execute(
        ours,
        "insert into public.chat_telemetry_log (user_id, user_question, created_at, ttfb_ms)"
        f" select id, 'How many?', '{AS_OF} 12:00+00', 9 from auth.users limit 1",
    )
    assert refreshed(outcomes(ours)) == set(COLUMNS)
    assert commands_on_reports(ours) == ["REFRESH MATERIALIZED VIEW"] * len(COLUMNS)
    assert_exact(ours)


@pytest.mark.parametrize("is_seed", [True, False])
def test_another_price_refreshes_the_reports_that_show_money(ours: DbtProject, is_seed: bool) -> None:
    if is_seed:
        edit(ours, "seeds/token_prices.csv", "openai,gpt-4o,2020-01-01,2.5,", "openai,gpt-4o,2020-01-01,3.5,")
        ours.run("seed")
    else:
        own = "insert into chat_rollups.own_prices values ('gpt-4o', '2026-11-01', 1, 0.5, 2, 'our contract')"
        execute(ours, own)
    assert refreshed(outcomes(ours)) == PRICED
    assert_exact(ours)
    assert refreshed(outcomes(ours)) == set()


def test_the_same_prices_loaded_again_refresh_nothing(ours: DbtProject) -> None:
    ours.run("seed", "--full-refresh")
    assert refreshed(outcomes(ours)) == set()
    assert_exact(ours)


def test_another_day_refreshes_every_report(ours: DbtProject) -> None:
    for day in ("2026-11-23", "2026-11-20", AS_OF):
        assert refreshed(outcomes(ours, report_as_of=day)) == set(COLUMNS)
        assert_exact(ours, day)


def test_a_changed_query_replaces_only_its_report(ours: DbtProject) -> None:
    edit(ours, "models/reports/off_topic.sql", "from counted", "from counted where day > '2026-11-01'")
    said = outcomes(ours)
    assert said.pop("off_topic") == "replaced"
    assert set(said.values()) == {"0 changes drained", "nothing new"}


def test_a_full_refresh_counts_again_and_replaces_nothing(ours: DbtProject) -> None:
    execute(ours, COUNT_COMMANDS)
    execute(ours, "update chat_rollups.daily_requests set request_count = request_count + 1")
    assert refreshed(outcomes(ours, "--full-refresh")) == set(COLUMNS)
    assert commands_on_reports(ours) == ["REFRESH MATERIALIZED VIEW"] * len(COLUMNS)
    assert_exact(ours)


def test_a_replaced_report_has_no_statistics_of_ids_and_texts(ours: DbtProject) -> None:
    edit(ours, "models/reports/user_usage.sql", "sum(request_count)", "1 * sum(request_count)")
    edit(ours, "models/reports/sql_patterns.sql", "limit 1000", "limit 999")
    said = outcomes(ours)
    assert {said["user_usage"], said["sql_patterns"]} == {"replaced"}
    assert value(ours, WITHOUT_STATISTICS) == IDS_AND_TEXTS


@pytest.fixture
def restored(ours: DbtProject, postgres: Server) -> Iterator[DbtProject]:
    """The project on a restored dump of the database, under another name, with changes in the feed."""
    programs = client_programs(ours.database)
    if programs is None:
        pytest.skip("pg_dump of the server's version is not installed")
    execute(ours, "delete from public.chat_telemetry_log where ttfb_ms < 100")
    dump = ours.scratch / "dump"
    assert dumping(programs, ours.database, dump).wait(60) == 0
    database = restore(programs, ours.database, dump)
    yield replace(ours, database=database)
    postgres.drop_database(database.name)


def test_one_plain_run_repairs_a_restored_dump(restored: DbtProject) -> None:
    unpopulated = "select array_agg(matviewname::text) from pg_matviews where not ispopulated"
    assert value(restored, unpopulated) == ["sql_patterns"]
    restored.run("run", report_as_of=AS_OF)
    assert_exact(restored)
    assert value(restored, unpopulated) is None
    with restored.database.as_role("telemetry_reader") as connection:
        for report in COLUMNS:
            connection.execute(f"select * from chat_reports.{report}")
    assert value(restored, WITHOUT_STATISTICS) == IDS_AND_TEXTS
