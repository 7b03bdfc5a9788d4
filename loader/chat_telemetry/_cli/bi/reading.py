"""Reads the reports as telemetry_reader, in one snapshot, with the queries of `bi/queries`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from typing import LiteralString, TypeVar

import msgspec
import psycopg
from psycopg import errors as sqlstate
from psycopg import sql

from chat_telemetry._cli.bi import rows
from chat_telemetry._cli.bi.days import Days
from chat_telemetry._cli.errors import NOT_BUILT, DatabaseFailed, NotReady, server_message
from chat_telemetry._cli.report_rows import READER, SCHEMA, OpenQuery, reading
from chat_telemetry._cli.sql_project import project_directory

DAYS = 30
USERS = 15
LONGEST_SQL = 2_000
# to_json gets the whole row, also if a query has a column `query`.
AS_JSON: LiteralString = """
select pg_catalog.count(*) over (), null::pg_catalog.numeric, pg_catalog.to_json(query.*)::pg_catalog.text
from ({query}) as query
limit {limit}
"""
BUILD = "run `chat-telemetry migrate`, then `chat-telemetry run`"
CALLS: LiteralString = """
select day, step, model, cost_usd, price_match from chat_reports.token_cost
where day between {first} and {last} order by day, step, model
"""
ERRORS: LiteralString = """
select day, error_type, failed_step, request_count from chat_reports.errors
where error_type not in ('none', 'cancelled') and day between {first} and {last}
order by day, error_type, failed_step
"""
LATENCY: LiteralString = """
select period_start, step, p50_ms, p95_ms, p99_ms from chat_reports.latency
where period = 'day' and period_start between {first} and {last} order by period_start, step
"""
REQUESTS: LiteralString = "select * from ({requests_by_day}) as days where day between {first} and {last} order by day"
FIRST_REQUEST: LiteralString = "select min(day) as day from chat_reports.off_topic"
FRESHNESS: LiteralString = """
select
    report,
    refreshed_at at time zone report_timezone as refreshed_at,
    as_of,
    report_timezone,
    newest_request_at at time zone report_timezone as newest_request_at,
    pending_changes,
    coalesce(future_request_count, 0) as future_request_count,
    coalesce(left_out_count, 0) as left_out_count
from chat_reports.report_freshness
where as_of is not null
order by report
"""
ALERTS: LiteralString = """
select alert, subject, value, bound, began_at at time zone {zone} as began_at
from chat_reports.open_alerts order by alert, subject
"""
# The most frequent, the slowest and the most failing. An example and a shape can be as long as the log allows.
SHAPES: LiteralString = """
select * from (
    select
        left(sql_shape, 300) as sql_shape,
        left(example_sql, {longest}) as example_sql,
        length(example_sql) as example_length,
        occurrence_count,
        error_count,
        avg_execution_ms,
        avg_row_count,
        row_number() over (order by occurrence_count desc, sql_shape) as place_by_count,
        row_number() over (
            order by (occurrence_count >= 5) desc, avg_execution_ms desc nulls last, sql_shape
        ) as place_by_duration,
        row_number() over (order by error_count desc, sql_shape) as place_by_errors,
        count(*) over () as shape_count,
        (sum(occurrence_count) over ())::bigint as all_occurrences
    from ({sql_shapes}) as shapes
) as places
where
    place_by_count <= 8
    or (place_by_duration <= 4 and avg_execution_ms is not null)
    or (place_by_errors <= 4 and error_count > 0)
order by place_by_count
"""
COMMENTS: LiteralString = """
select c.relname || '.' || a.attname as name, col_description(a.attrelid, a.attnum) as text
from pg_attribute as a
inner join pg_class as c on a.attrelid = c.oid
where
    c.relnamespace = 'chat_reports'::regnamespace and a.attnum > 0 and not a.attisdropped
    and col_description(a.attrelid, a.attnum) is not null
order by 1
"""
# A report that a run replaced after the snapshot was taken looks empty in it: its rows are newer.
REPLACED: LiteralString = """
select c.relname as name from pg_class as c
where
    c.relnamespace = 'chat_reports'::regnamespace and c.relkind = 'm'
    and to_regclass(format('chat_reports.%I', c.relname)) is distinct from c.oid
"""
ATTEMPTS = 5
T = TypeVar("T")


class _Name(msgspec.Struct):
    name: str


class _Day(msgspec.Struct):
    day: date | None


@dataclass(frozen=True)
class Reports:
    """The rows of all queries, as of one moment."""

    days: Days | None
    """None if the log is empty."""
    freshness: list[rows.Freshness]
    alerts: list[rows.OpenAlert]
    comments: dict[str, str] = field(default_factory=dict)
    headlines: dict[str, rows.Headline] = field(default_factory=dict)
    requests: list[rows.RequestDay] = field(default_factory=list)
    months: list[rows.Month] = field(default_factory=list)
    models: list[rows.ModelCost] = field(default_factory=list)
    calls: list[rows.CallDay] = field(default_factory=list)
    unpriced: list[rows.UnpricedModel] = field(default_factory=list)
    steps: list[rows.StepLatency] = field(default_factory=list)
    latency: list[rows.LatencyDay] = field(default_factory=list)
    error_types: list[rows.ErrorType] = field(default_factory=list)
    errors: list[rows.ErrorDay] = field(default_factory=list)
    users: list[rows.TopUser] = field(default_factory=list)
    user_count: int = 0
    shapes: list[rows.SqlShape] = field(default_factory=list)
    pairs: list[rows.ModelPair] = field(default_factory=list)

    @property
    def costs_by_model(self) -> dict[str, dict[date, Decimal | None]]:
        """The cost of each model on each day with calls; None if none of them has a price."""
        found: dict[str, dict[date, Decimal | None]] = {}
        for row in self.calls:
            days = found.setdefault(row.model, {})
            known = [cost for cost in (days.get(row.day), row.cost_usd) if cost is not None]
            days[row.day] = sum(known, Decimal(0)) if known else None
        return found

    @property
    def errors_by_kind(self) -> dict[tuple[str, str], dict[date, int]]:
        """How many requests failed with each error_type and failed_step on each day."""
        found: dict[tuple[str, str], dict[date, int]] = {}
        for row in self.errors:
            found.setdefault((row.error_type, row.failed_step), {})[row.day] = row.request_count
        return found


@cache
def query(name: str) -> sql.SQL:
    """A query of `bi/queries`, without the semicolon at its end."""
    text = (project_directory() / "bi" / "queries" / f"{name}.sql").read_text(encoding="utf-8")
    return sql.SQL(text.rstrip().removesuffix(";"))


def read_reports(connection: psycopg.Connection, day_count: int, *, as_login: bool = False) -> Reports:
    """What the dashboard shows, read as telemetry_reader, or with the rights of the login.

    Raises NotReady if a report is not built, DatabaseFailed if the login may not read it, and psycopg.Error.
    """
    with _explained():
        for _ in range(ATTEMPTS):
            with reading(connection, one_snapshot=True, as_login=as_login) as open_query:
                reports = _Reader(open_query).reports(day_count)
                if reports is not None:
                    return reports
    raise DatabaseFailed("a run replaced reports again and again while they were read: try again after it")


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except NOT_BUILT as error:
        raise NotReady(f"{server_message(error)}: {BUILD}") from error
    except sqlstate.InsufficientPrivilege as error:
        raise DatabaseFailed(
            f"{server_message(error)}: grant {READER} usage on {SCHEMA} and select on its reports"
        ) from error
    except msgspec.ValidationError as error:
        raise NotReady(f"a report is not that of this version ({error}): {BUILD}") from error


class _Reader:
    """Reads rows in a transaction of telemetry_reader."""

    def __init__(self, open_query: OpenQuery) -> None:
        self._open_query = open_query

    def reports(self, day_count: int) -> Reports | None:
        """None if a report was replaced meanwhile."""
        freshness = self.all(rows.Freshness, sql.SQL(FRESHNESS))
        if not freshness:
            raise NotReady(f"the reports are not built: {BUILD}")
        zone = freshness[0].report_timezone
        alerts = self.all(rows.OpenAlert, sql.SQL(ALERTS).format(zone=zone))
        first = self.all(_Day, sql.SQL(FIRST_REQUEST))[0].day
        if first is None:
            found = Reports(None, freshness, alerts)
        else:
            found = self._filled(Days.of(freshness, first, day_count), freshness, alerts)
        return None if self.all(_Name, sql.SQL(REPLACED)) else found

    def _filled(self, days: Days, freshness: list[rows.Freshness], alerts: list[rows.OpenAlert]) -> Reports:
        # As many days as the charts show, and the two weeks and the 30 days of the tables.
        between = {"first": min(days.shown[0], days.last - timedelta(days=29)), "last": days.last}
        users, user_count = self._counted(rows.TopUser, query("top_users"), USERS)
        return Reports(
            days,
            freshness,
            alerts,
            comments={each.name: each.text for each in self.all(rows.Comment, sql.SQL(COMMENTS))},
            headlines={each.period: each for each in self.all(rows.Headline, query("headlines"))},
            requests=self.all(
                rows.RequestDay, sql.SQL(REQUESTS).format(requests_by_day=query("requests_by_day"), **between)
            ),
            months=self.all(rows.Month, query("cost_by_month")),
            models=self.all(rows.ModelCost, query("cost_by_model")),
            calls=self.all(rows.CallDay, sql.SQL(CALLS).format(**between)),
            unpriced=self.all(rows.UnpricedModel, query("unpriced_models")),
            steps=self.all(rows.StepLatency, query("latency_by_step")),
            latency=self.all(rows.LatencyDay, sql.SQL(LATENCY).format(**between)),
            error_types=self.all(rows.ErrorType, query("errors_by_type")),
            errors=self.all(rows.ErrorDay, sql.SQL(ERRORS).format(**between)),
            users=users,
            user_count=user_count,
            shapes=self.all(rows.SqlShape, sql.SQL(SHAPES).format(sql_shapes=query("sql_shapes"), longest=LONGEST_SQL)),
            pairs=self.all(rows.ModelPair, query("model_pairs")),
        )

    def all(self, row: type[T], statement: sql.Composable) -> list[T]:
        """All rows of a statement."""
        return self._counted(row, statement, None)[0]

    def _counted(self, row: type[T], statement: sql.Composable, limit: int | None) -> tuple[list[T], int]:
        """The first `limit` rows, and how many there are without a limit."""
        wrapped = sql.SQL(AS_JSON).format(query=statement, limit=sql.Literal(limit))
        with self._open_query(wrapped) as found:
            read = [(msgspec.json.decode(each.object, type=row), each.total) for each in found]
        return [decoded for decoded, _ in read], read[0][1] if read else 0
