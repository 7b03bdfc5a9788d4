"""A BI tool finds columns, comments, an index on the grain, and current numbers."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from tests.conftest import Database
from tests.dbt_project import DbtProject
from tests.reports.contract import COLUMNS, GRAIN

DESCRIBED = """
select a.attname, col_description(a.attrelid, a.attnum), obj_description(a.attrelid, 'pg_class')
from pg_attribute as a
where a.attrelid = %s::regclass and a.attnum > 0
order by a.attnum
"""
UNIQUE_COLUMNS = """
select array_agg(a.attname order by k.position)
from pg_index as i
cross join unnest(i.indkey::int2[]) with ordinality as k (attnum, position)
inner join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
where i.indrelid = %s::regclass and i.indisunique and i.indpred is null
group by i.indexrelid
"""


def ask(database: Database, **values: Any) -> None:
    """One chat request of a new user, by default asked now."""
    (user,) = database.add_users()
    request = {"user_id": user, "user_question": "How many?", "sql_model": "gpt-4o-mini", **values}
    columns, marks = ", ".join(request), ", ".join(["%s"] * len(request))
    with database.connect() as connection:
        connection.execute(
            f"insert into public.chat_telemetry_log ({columns}) values ({marks})", list(request.values())
        )


def test_each_report_has_its_columns_a_comment_on_each_and_a_unique_index_on_its_grain(project: DbtProject) -> None:
    project.run("run")
    with project.database.connect() as connection:
        for report, columns in COLUMNS.items():
            described = connection.execute(DESCRIBED, [f"chat_reports.{report}"]).fetchall()
            assert [name for name, _, _ in described] == columns
            assert all(column and view for _, column, view in described), described
            grains = connection.execute(UNIQUE_COLUMNS, [f"chat_reports.{report}"]).fetchall()
            assert [set(grain) for (grain,) in grains] == [set(GRAIN[report])]


def test_the_next_run_counts_what_came_since(project: DbtProject) -> None:
    project.run("run")
    ask(project.database, is_off_topic=True)
    project.run("run")
    today = dt.datetime.now(dt.UTC).date()
    with project.database.connect() as connection:
        assert connection.execute("select * from chat_reports.off_topic").fetchall() == [(today, 1, 1, Decimal(1))]


def test_a_corrected_price_reprices_the_past(project: DbtProject) -> None:
    ask(project.database, sql_input_tokens=1_000_000, created_at="2026-01-15T12:00:00Z")
    project.run("run")
    cost = "select cost_usd, price_match from chat_reports.token_cost"
    with project.database.connect() as connection:
        assert connection.execute(cost).fetchall() == [(Decimal("0.15"), "exact")]
        connection.execute(
            "insert into chat_prices.token_prices (provider, model, valid_from, input_usd_per_mtok,"
            " cached_input_usd_per_mtok, output_usd_per_mtok, source)"
            " values ('openai', 'gpt-4o-mini', '2026-01-10', 0.20, 0.10, 0.60, 'test')"
        )
        project.run("run")
        assert connection.execute(cost).fetchall() == [(Decimal("0.20"), "exact")]


def test_dbt_finds_the_log_stale_when_chats_stop_arriving(project: DbtProject) -> None:
    ask(project.database, created_at=dt.datetime.now(dt.UTC))
    assert project.invoke("source", "freshness").success
    with project.database.connect() as connection:
        connection.execute("update public.chat_telemetry_log set created_at = created_at - interval '30 days'")
    assert not project.invoke("source", "freshness").success
