"""`chat-telemetry report`: one of the reports as a table, csv or json."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated, LiteralString, NamedTuple

import psycopg
import typer
from psycopg import sql

from chat_telemetry._cli.errors import NOT_BUILT, NotReady, UsageError
from chat_telemetry._cli.options import DatabaseUrl, connect
from chat_telemetry._cli.tables import print_table

SCHEMA = "chat_reports"
TABLE_ROWS = 20
PERIODS: LiteralString = "'last_7_days', 'last_30_days', 'last_7_complete_days', 'previous_7_complete_days'"


class Layout(NamedTuple):
    """How a report is shown: its order, and the columns for a narrow terminal."""

    order_by: LiteralString
    narrow_columns: tuple[str, ...]


# The reports of the project. A report that a user added is shown with all columns, ordered by the first two.
REPORTS = {
    "token_cost": Layout(
        "day desc, cost_usd desc nulls last, step, model",
        ("day", "step", "model", "call_count", "cost_usd"),
    ),
    "latency": Layout(
        f"array_position(array[{PERIODS}, 'day'], period::text), period_start desc,"
        " array_position(array['ttfb', 'nl_to_sql', 'sql_execution', 'response_generation'], step::text)",
        ("period", "period_start", "step", "request_count", "p50_ms", "p95_ms", "p99_ms"),
    ),
    "errors": Layout(
        "day desc, request_count desc, error_type, failed_step",
        ("day", "error_type", "failed_step", "request_count", "share_of_requests"),
    ),
    "user_usage": Layout(
        "cost_usd desc nulls last, request_count desc, user_id",
        ("user_id", "request_count", "error_count", "cost_usd", "last_active_on"),
    ),
    "sql_patterns": Layout(
        "occurrence_count desc, sql_fingerprint",
        ("occurrence_count", "error_count", "p95_execution_ms", "sql_shape"),
    ),
    "off_topic": Layout("day desc", ("day", "request_count", "off_topic_count", "off_topic_rate")),
    "model_comparison": Layout(
        f"array_position(array[{PERIODS}], period::text), request_count desc, sql_model, response_model",
        ("period", "sql_model", "request_count", "error_rate", "p95_ttfb_ms", "cost_per_request_usd"),
    ),
}


class Format(StrEnum):
    """How rows are written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def report(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help=f"One of {', '.join(REPORTS)}, or a report that you added.")
    ],
    database_url: DatabaseUrl,
    output: Annotated[Format, typer.Option("--format", "-f", help="csv and json have exact numbers.")] = Format.TABLE,
    limit: Annotated[
        int | None,
        typer.Option(min=1, metavar="ROWS", help=f"Default: {TABLE_ROWS} in a table, all in csv and json."),
    ] = None,
) -> None:
    """Print one of the reports, newest or largest first."""
    with connect(database_url) as connection:
        if name not in REPORTS and name not in _reports(connection):
            raise UsageError(f"there is no report {name!r}: choose one of {', '.join(REPORTS)}")
        try:
            if output is Format.TABLE:
                show(connection, name, limit or TABLE_ROWS)
            else:
                _write(connection, name, output, limit)
        except NOT_BUILT as error:
            raise NotReady(f"the report {name} is not built: run `chat-telemetry migrate`, then `dbt build`") from error


def show(connection: psycopg.Connection, name: str, limit: int) -> None:
    """Print the first `limit` rows as a table, with a note if there are more."""
    counted = sql.SQL("select *, count(*) over () from ({}) as report {}").format(_rows(name), _limit(limit))
    cursor = connection.execute(counted)
    rows = cursor.fetchall()
    columns = [column.name for column in cursor.description or ()][:-1]
    narrow_columns = REPORTS[name].narrow_columns if name in REPORTS else tuple(columns)
    print_table(columns, [row[:-1] for row in rows], narrow_columns)
    total = rows[0][-1] if rows else 0
    if total > len(rows):
        typer.echo(f"{len(rows)} of {total:,} rows: --limit shows more")
    elif not rows:
        typer.echo("no rows: the log has no chat requests in the days of this report")


def _write(connection: psycopg.Connection, name: str, output: Format, limit: int | None) -> None:
    """PostgreSQL formats the rows, so that no number is rounded by a float."""
    rows = sql.SQL("{} {}").format(_rows(name), _limit(limit))
    stdout = sys.stdout.buffer
    if output is Format.CSV:
        copy = sql.SQL("copy ({}) to stdout with (format csv, header)").format(rows)
        with connection.cursor() as cursor, cursor.copy(copy) as blocks:
            stdout.writelines(blocks)
        return
    objects = connection.execute(sql.SQL("select to_json(report)::text from ({}) as report").format(rows))
    stdout.write(b"[" + b",\n".join(row[0].encode() for row in objects) + b"]\n")


def _reports(connection: psycopg.Connection) -> set[str]:
    """The reports in this database, including those that users added."""
    rows = connection.execute("select matviewname from pg_catalog.pg_matviews where schemaname = %s", [SCHEMA])
    return {name for (name,) in rows}


def _rows(name: str) -> sql.Composable:
    order_by = sql.SQL(REPORTS[name].order_by if name in REPORTS else "1, 2")
    return sql.SQL("select * from {} order by {}").format(sql.Identifier(SCHEMA, name), order_by)


def _limit(limit: int | None) -> sql.Composable:
    return sql.SQL("limit {}").format(limit) if limit else sql.SQL("")
