"""`chat-telemetry report`: an overview, or one of the reports as a table, csv or json."""

from __future__ import annotations

import codecs
import csv
import re
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, LiteralString, NamedTuple

import msgspec
import psycopg
import typer
from psycopg import errors as sqlstate
from psycopg import sql

from chat_telemetry._cli.bi.overview import print_overview
from chat_telemetry._cli.bi.reading import DAYS, read_reports
from chat_telemetry._cli.errors import NOT_BUILT, DatabaseFailed, NotReady, UsageError, one_line
from chat_telemetry._cli.options import DatabaseUrlIfNeeded, connect, needed
from chat_telemetry._cli.report_rows import EVERY_ROW, READER, SCHEMA, Row, columns_of, identifier, open_rows
from chat_telemetry._cli.sql_project import project_directory
from chat_telemetry._cli.tables import format_value, print_table

TABLE_ROWS = 20
INTEGER = re.compile(r"-?\d{1,19}", re.ASCII)  # of at most 8 bytes, as PostgreSQL has them
PERIODS: LiteralString = "'last_7_days', 'last_30_days', 'last_7_complete_days', 'previous_7_complete_days'"

LAST_DAYS: LiteralString = "day > (select pg_catalog.max(as_of) from chat_reports.report_freshness) - {}"
NULL = msgspec.Raw(b"null")

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Layout(NamedTuple):
    """How a report is shown: its order, and the columns for a narrow terminal."""

    order_by: LiteralString
    narrow_columns: tuple[str, ...]
    summed: str = ""
    """The column whose sum over the rows that are not shown means something."""


# The reports of the project. A report that a user added is shown with all columns, ordered by the first two.
REPORTS = {
    "token_cost": Layout(
        "day desc, cost_usd desc nulls last, step, model",
        ("day", "step", "model", "call_count", "cost_usd"),
        "cost_usd",
    ),
    "latency": Layout(
        f"array_position(array[{PERIODS}, 'day'], period::text), period_start desc,"
        " array_position(array['ttfb', 'nl_to_sql', 'sql_execution', 'response_generation'], step::text)",
        ("period", "period_start", "step", "request_count", "p50_ms", "p95_ms", "p99_ms"),
    ),
    "errors": Layout(
        "day desc, request_count desc, error_type, failed_step",
        ("day", "error_type", "failed_step", "request_count", "share_of_requests"),
        "request_count",
    ),
    "user_usage": Layout(
        "cost_usd desc nulls last, request_count desc, user_id",
        ("user_id", "request_count", "error_count", "cost_usd", "last_active_on"),
        "cost_usd",
    ),
    "sql_patterns": Layout(
        "occurrence_count desc, sql_fingerprint",
        ("occurrence_count", "error_count", "p95_execution_ms", "sql_shape"),
        "occurrence_count",
    ),
    "off_topic": Layout("day desc", ("day", "request_count", "off_topic_count", "off_topic_rate"), "request_count"),
    "model_comparison": Layout(
        f"array_position(array[{PERIODS}], period::text), request_count desc, sql_model, response_model",
        ("period", "sql_model", "request_count", "error_rate", "p95_ttfb_ms", "cost_per_request_usd"),
    ),
}


def first_day(text: str) -> sql.Composed:
    """A condition: the last N days that count, or from a date on. Raises BadParameter."""
    if found := re.fullmatch(r"(\d{1,5})d", text.strip(), re.ASCII):
        return sql.SQL(LAST_DAYS).format(int(found[1]))
    try:
        return sql.SQL("day >= {}").format(date.fromisoformat(text.strip()))
    except ValueError:
        raise typer.BadParameter("expected days, for example 14d, or a date, for example 2026-11-01") from None


class Format(StrEnum):
    """How rows are written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def report(
    *,
    database_url: DatabaseUrlIfNeeded,
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help=f"One of {', '.join(REPORTS)}, or a report that you added.")
    ] = None,
    output: Annotated[Format, typer.Option("--format", "-f", help="csv and json have exact numbers.")] = Format.TABLE,
    top: Annotated[
        int | None,
        typer.Option(min=1, metavar="ROWS", help=f"Default: {TABLE_ROWS} in a table, all in csv and json."),
    ] = None,
    since: Annotated[
        sql.Composed | None,
        typer.Option(parser=first_day, metavar="DAYS|DATE", help="From a day on: 14d, 2026-11-01."),
    ] = None,
    lists: Annotated[bool, typer.Option("--list", help="List the reports, each with its question.")] = False,
) -> None:
    """Print one of the reports, newest or largest first. Without NAME, print an overview of all."""
    if lists:
        _list_reports()
        return
    if name is None and (top or since or output is not Format.TABLE):
        raise UsageError(f"an overview has no --top, --since and --format: name a report, one of {', '.join(REPORTS)}")
    with connect(needed(database_url)) as connection:
        if name is None:
            print_overview(read_reports(connection, DAYS))
            return
        try:
            _print(connection, name, output, top, since)
        except NOT_BUILT as error:
            raise _not_built(name) from error
        except sqlstate.InsufficientPrivilege as error:
            grant = f"grant select on {SCHEMA}.{identifier(name)} to {READER}"
            raise DatabaseFailed(f"{error.diag.message_primary}: `{grant}` allows it") from error


def _print(
    connection: psycopg.Connection, name: str, output: Format, top: int | None, since: sql.Composed | None
) -> None:
    if output is Format.TABLE:
        show(connection, name, top or TABLE_ROWS, since)
        return
    columns = _columns(connection, name, since)
    with _open(connection, name, columns, top, since) as rows:
        if output is Format.CSV:
            _write_csv(columns, rows)
        else:
            _write_json(rows)


def _list_reports() -> None:
    """The reports of the installed project, each with the question in the first line of its model."""
    for path in sorted((project_directory() / "models" / "reports").glob("*.sql")):
        question = path.read_text(encoding="utf-8").split("?")[0].removeprefix("-- ")
        typer.echo(f"{path.stem:<18}{one_line(question)}?")


def show(connection: psycopg.Connection, name: str, top: int, since: sql.Composed | None = None) -> None:
    """Print the first rows as a table, and how many others there are."""
    columns = _columns(connection, name, since)
    with _open(connection, name, columns, top, since) as rows:
        found = list(rows)
    objects = [_decode(row.object) for row in found]
    names = [*(objects[0] if objects else columns)]
    narrow_columns = REPORTS[name].narrow_columns if name in REPORTS else names
    print_table(names, [[_value(each[n], columns.get(n, False)) for n in names] for each in objects], narrow_columns)
    if not found:
        typer.echo("no rows: the log has no chat requests in the days of this report")
    elif found[0].total > len(found):
        typer.echo(f"{len(found)} of {found[0].total:,} rows{_rest(name, found, objects)}: --top shows more")


def _rest(name: str, found: list[Row], objects: list[dict[str, msgspec.Raw]]) -> str:
    """What the rows that are not shown add up to, if they do."""
    summed = REPORTS[name].summed if name in REPORTS else ""
    if not summed or found[0].sum is None:
        return ""
    shown = sum((Decimal(bytes(each[summed]).decode()) for each in objects if each[summed] != NULL), Decimal(0))
    rest = found[0].sum - shown
    value = int(rest) if summed.endswith("_count") else rest
    return f"; the others have a {summed} of {format_value(summed, value)}"


def _columns(connection: psycopg.Connection, name: str, since: sql.Composed | None) -> dict[str, bool]:
    """The columns of a report, and whether their numbers have decimals. The rows that are read next may have others.

    Raises UsageError if there is no report of this name or it has no days, and NotReady if it is not built.
    """
    columns = columns_of(connection, name, of_any_kind=name in REPORTS)
    if not columns and name in REPORTS:
        raise _not_built(name)
    if not columns:
        raise UsageError(f"there is no report {name!r}: choose one of {', '.join(REPORTS)}")
    if since and "day" not in columns:
        raise UsageError(f"--since needs a report with a row per day: {name} has fixed periods")
    return columns


def _open(
    connection: psycopg.Connection, name: str, columns: dict[str, bool], limit: int | None, since: sql.Composed | None
) -> AbstractContextManager[Iterator[Row]]:
    of_a_user = Layout("1, 2" if len(columns) > 1 else "1", ())
    layout = REPORTS.get(name, of_a_user)
    summed = layout.summed if limit and layout.summed in columns else ""
    return open_rows(connection, name, layout.order_by, limit, condition=since or EVERY_ROW, summed=summed)


def _not_built(name: str) -> NotReady:
    return NotReady(f"the report {name} is not built: run `chat-telemetry migrate`, then `dbt build`")


def _write_csv(columns: dict[str, bool], rows: Iterator[Row]) -> None:
    writer = csv.writer(codecs.getwriter("utf-8")(sys.stdout.buffer), lineterminator="\n")
    objects = (_decode(row.object) for row in rows)
    first = next(objects, None)
    writer.writerow(first or columns)
    if first:
        writer.writerow(map(_text, first.values()))
    writer.writerows(map(_text, each.values()) for each in objects)


def _write_json(rows: Iterator[Row]) -> None:
    stdout = sys.stdout.buffer
    before = b"["
    for row in rows:
        stdout.write(before + row.object.encode())
        before = b",\n"
    stdout.write(b"]\n" if before != b"[" else b"[]\n")


def _text(value: msgspec.Raw) -> str | None:
    """The characters of a string, None for null, and the JSON of anything else: a number has all its digits."""
    content = bytes(value)
    if content == b"null" or content.startswith(b'"'):
        text: str | None = msgspec.json.decode(content)
        return text
    return content.decode()


def _value(value: msgspec.Raw, has_decimals: bool) -> object:
    """A value of a table. A number is exact, an array or an object is its JSON."""
    content = bytes(value)
    if content in (b"true", b"false"):
        return content == b"true"
    text = _text(value)
    if text is None or content.startswith((b'"', b"[", b"{")):
        return text
    is_integer = not has_decimals and INTEGER.fullmatch(text)
    return int(text) if is_integer else Decimal(text)
