"""The checks after one run of dbt: the reports, the rollups, the feed and the freshness."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from tests.conftest import Database
from tests.reports.contract import COLUMNS, LOG, differences

ROLLUPS = ["daily_requests", "daily_users", "daily_durations", "window_durations", "daily_latency"]
# Rows with a count of 0 or below 0.
EMPTY_ROWS = """
select 'daily_requests' as rollup, count(*) from chat_rollups.daily_requests
where request_count < 1 or least(sql_call_count, response_call_count, sql_input_tokens, response_input_tokens) < 0
union all
select 'daily_users', count(*) from chat_rollups.daily_users
where request_count < 1 or least(error_count, off_topic_count, sql_call_count, response_call_count) < 0
union all
select 'daily_durations', count(*) from chat_rollups.daily_durations where request_count < 1
union all
select 'window_durations', count(*) from chat_rollups.window_durations
where last_30_days < 1 or least(last_7_days, last_7_complete_days, previous_7_complete_days) < 0
union all
select 'daily_latency', count(*) from chat_rollups.daily_latency where request_count < 1
"""
DAY = "(least(greatest({}, '1999-12-30+00'), '9999-12-30+00') at time zone %(timezone)s)::date"
WRONG_FRESHNESS = f"""
with log as (
    select *, {DAY.format("created_at")} as day from public.chat_telemetry_log
),

left_out as (
    select
        count(*) filter (where day < '2000-01-01' and %(horizon)s::date is null) as early,
        coalesce(sum(
            (select count(*) from unnest(array[
                nl_to_sql_duration_ms, sql_execution_duration_ms, response_generation_duration_ms, ttfb_ms
            ]) as duration (ms) where ms < 0)
        ) filter (
            where coalesce(error_type, '') = '' and day between %(as_of)s::date - 29 and %(as_of)s
        ), 0) as negative
    from log
)

select report, freshness::text
from chat_reports.report_freshness as freshness
cross join left_out
where
    as_of is distinct from %(as_of)s
    or report_timezone is distinct from %(timezone)s
    or pending_changes != 0
    or newest_request_at is distinct from (select max(created_at) from log where created_at <= refreshed_at)
    or future_request_count is distinct from (select count(*) from log where created_at > refreshed_at)
    or left_out_count is distinct from
    early + case when report in ('latency', 'model_comparison') then negative else 0 end
"""
BY_COLUMN = f"""
with reported as (
    select rollup.day, labels.label, sum(rollup.request_count) as request_count
    from chat_rollups.daily_requests as rollup
    inner join chat_rollups.labels as labels on rollup.{{column}} = labels.id
    where %(horizon)s::date is null or rollup.day >= %(horizon)s
    group by rollup.day, labels.label
),

counted as (
    select {DAY.format("created_at")} as day, coalesce({{column}}, '') as label, count(*) as request_count
    from public.chat_telemetry_log
    where %(horizon)s::date is null or {DAY.format("created_at")} >= %(horizon)s
    group by 1, 2
)

select 'only in the rollup' as side, surplus.* from (select * from reported except all select * from counted) as surplus
union all
select 'only by direct SQL', missing.* from (select * from counted except all select * from reported) as missing
"""


@dataclass(frozen=True)
class Checks:
    """Checks of a database, for a last day, a time zone, a column that was added and a horizon (or none).

    `log` is the relation to which the reports must be equal.
    """

    database: Database
    as_of: dt.date
    timezone: str = "UTC"
    column: str | None = None
    horizon: dt.date | None = None
    log: str = LOG

    def assert_all_is_right(self) -> None:
        with self.database.connect() as connection:
            self.assert_reports_are_right(connection)
            assert_nothing_is_left(connection)
            self._assert_freshness_is_right(connection)
            if self.column:
                by_column = sql.SQL(BY_COLUMN).format(column=sql.Identifier(self.column))
                wrong = connection.execute(by_column, self._parameters).fetchall()
                assert not wrong, f"{self.column}: {wrong}"

    def assert_reports_are_right(self, connection: psycopg.Connection) -> None:
        """Each report has exactly the rows of the reference SQL on the log."""
        place = (self.as_of.isoformat(), self.timezone, self.log)
        found = {report: differences(connection, report, *place) for report in COLUMNS}
        wrong = {report: rows for report, rows in found.items() if rows}
        assert not wrong, "\n".join(f"{report}: {shortened(row)}" for report, rows in wrong.items() for row in rows)

    @property
    def _parameters(self) -> dict[str, object]:
        return {"as_of": self.as_of, "timezone": self.timezone, "horizon": self.horizon}

    def _assert_freshness_is_right(self, connection: psycopg.Connection) -> None:
        reports = connection.execute("select report from chat_reports.report_freshness").fetchall()
        assert sorted(reports) == sorted((report,) for report in COLUMNS)
        wrong = connection.execute(WRONG_FRESHNESS, self._parameters).fetchall()
        assert not wrong, f"report_freshness: {wrong}"


def assert_nothing_is_left(connection: psycopg.Connection) -> None:
    """The feed is empty, every rollup has counted the last drain, no drained change is kept, and no row counts 0."""
    assert connection.execute("select count(*) from public.chat_telemetry_changes").fetchone() == (0,)
    progress: dict[str, int] = dict(
        connection.execute(
            "select name, drain_number from chat_rollups.progress where name != 'price_periods'"
        ).fetchall()
    )
    assert progress == dict.fromkeys(["drained_changes", *ROLLUPS], progress["drained_changes"])
    assert connection.execute("select count(*) from chat_rollups.drained_changes").fetchone() == (0,)
    assert dict(connection.execute(EMPTY_ROWS).fetchall()) == dict.fromkeys(ROLLUPS, 0)


def shortened(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """The row with long names cut off."""
    return tuple(f"{value[:60]}…" if isinstance(value, str) and len(value) > 60 else value for value in row)
