"""`chat-telemetry prices`: the prices of the logged models and what they lack, and commands that set own prices."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, LiteralString

import msgspec
import psycopg
import typer
from psycopg import errors as sqlstate
from psycopg.rows import class_row

from chat_telemetry._cli.errors import NOT_BUILT, CommandError, DatabaseFailed, NotReady, UsageError, one_line
from chat_telemetry._cli.logged_models import LoggedModel, logged_models
from chat_telemetry._cli.options import DatabaseUrl, DatabaseUrlIfNeeded, connect, needed, transaction
from chat_telemetry._cli.price_advice import advice, lines_to_add
from chat_telemetry._cli.price_file import BLANKS, Price, read_prices, write_prices
from chat_telemetry._cli.tables import number, print_table

FAULTS_SHOWN = 20
LOCK_TIMEOUT_S: Final = 5
COLUMNS = (
    *("model", "call_count", "unpriced_call_count", "price_match", "price_model"),
    *("input_usd_per_mtok", "cached_input_usd_per_mtok", "output_usd_per_mtok"),
    *("valid_from", "source", "confirmed_on"),
)
NARROW_COLUMNS = ("model", "call_count", "price_match", "input_usd_per_mtok", "output_usd_per_mtok", "source")
SET: LiteralString = """
insert into chat_rollups.own_prices as own (
    model, valid_from, input_usd_per_mtok, cached_input_usd_per_mtok, output_usd_per_mtok, source
)
select *
from unnest(%s::text[], %s::date[], %s::numeric[], %s::numeric[], %s::numeric[], %s::text[])
on conflict (model, valid_from) do update set
    input_usd_per_mtok = excluded.input_usd_per_mtok,
    cached_input_usd_per_mtok = excluded.cached_input_usd_per_mtok,
    output_usd_per_mtok = excluded.output_usd_per_mtok,
    source = excluded.source,
    confirmed_on = excluded.confirmed_on
returning own.xmax <> 0
"""
UNSET: LiteralString = """
delete from chat_rollups.own_prices
where model = %(model)s and (valid_from = %(valid_from)s or %(valid_from)s is null)
returning model, valid_from, input_usd_per_mtok, cached_input_usd_per_mtok, output_usd_per_mtok, source
"""
encoder = msgspec.json.Encoder(decimal_format="number")
prices = typer.Typer(invoke_without_command=True)


@prices.callback()
def show(
    context: typer.Context,
    database_url: DatabaseUrlIfNeeded,
    days: Annotated[
        int, typer.Option(min=1, max=36500, metavar="DAYS", help="Show the models of the calls of the last DAYS days.")
    ] = 30,
    missing: Annotated[
        bool, typer.Option("--missing", help="Print only the lines to add for calls without a price, as CSV.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print an array with an object per model.")] = False,
) -> None:
    """Show which price each logged model has, which have none, and which are old; set own prices."""
    if context.invoked_subcommand is not None:
        _refuse_options(context)
        return
    if missing and as_json:
        raise UsageError("--missing and --json exclude each other")
    with connect(needed(database_url)) as connection, transaction(connection):
        try:
            models = logged_models(connection, days)
        except NOT_BUILT as error:
            raise NotReady("the reports are not built: run `chat-telemetry migrate`, then `dbt build`") from error
    if as_json:
        sys.stdout.buffer.write(b"[" + b",\n".join(map(_as_json, models)) + b"]\n")
    elif missing:
        sys.stdout.buffer.write(write_prices(lines_to_add(models)).encode())
    else:
        _print(models, days)


@prices.command(name="set")
def set_prices(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The CSV file; - is stdin.")], database_url: DatabaseUrl
) -> None:
    """Set the own prices of a CSV file, all of them or none. A price of the same model and day is replaced."""
    name = "stdin" if file == "-" else one_line(file)
    found, faults = read_prices(name, _content(file))
    for fault in faults[:FAULTS_SHOWN]:
        typer.echo(f"{name}:{fault.line}: {fault.reason}", err=True)
    if faults:
        raise CommandError(f"{name}: no price was set: fix {number(len(faults), 'line')} and set the file again")
    if not found:
        raise CommandError(f"{name}: no price was set: the file has only its header")
    columns = [list(column) for column in zip(*found, strict=True)]
    with _own_prices(database_url) as connection:
        replaced = sum(is_replaced for (is_replaced,) in connection.execute(SET, columns))
    and_replaced = f", {replaced:,} replaced" if replaced else ""
    typer.echo(f"{number(len(found), 'price')} set{and_replaced}: the next dbt run applies them")


@prices.command(name="unset")
def unset_prices(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The name for which the price was set.")],
    database_url: DatabaseUrl,
    valid_from: Annotated[
        dt.datetime | None,
        typer.Argument(metavar="[VALID_FROM]", formats=["%Y-%m-%d"], help="Remove the price of this first day only."),
    ] = None,
) -> None:
    """Remove the own prices of a model, and print the lines that set them again."""
    model = model.encode(errors="replace").decode().strip(BLANKS)  # an argument may have bytes that are not UTF-8
    day = valid_from.date() if valid_from else None
    with _own_prices(database_url) as connection:
        cursor = connection.cursor(row_factory=class_row(Price))
        removed = cursor.execute(UNSET, {"model": model, "valid_from": day}).fetchall()
        if not removed:
            raise CommandError(_why_nothing_was_removed(connection, model))
    sys.stdout.buffer.write(write_prices(sorted(removed)).encode())
    typer.echo(f"{number(len(removed), 'price')} removed: the next dbt run applies it", err=True)


def _refuse_options(context: typer.Context) -> None:
    """Options before the name of a subcommand would be ignored, --database-url too. Raises UsageError."""
    for name in context.params:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = {"as_json": "json"}.get(name, name).replace("_", "-")
            raise UsageError(f"write --{option} after `prices {context.invoked_subcommand}`, if it has this option")


@contextmanager
def _own_prices(database_url: str) -> Iterator[psycopg.Connection]:
    """A connection in a transaction that waits for the table of own prices for some seconds at most.

    Raises NotReady if the table does not exist, or is that of another version, and DatabaseFailed if it stays locked.
    """
    try:
        with connect(database_url) as connection, transaction(connection):
            connection.execute(f"set local lock_timeout = '{LOCK_TIMEOUT_S}s'")
            yield connection
    except NOT_BUILT as error:
        raise NotReady("the database has no table of own prices: run `chat-telemetry migrate`") from error
    except sqlstate.LockNotAvailable as error:
        raise DatabaseFailed("another session has locked the own prices: run the command again") from error


def _content(file: str) -> bytes:
    """The bytes of the file or of stdin. Raises UsageError and OSError."""
    if file == "-":
        return sys.stdin.buffer.read()
    path = Path(file)
    if not path.exists() or path.is_dir():
        raise UsageError(f"{file}: {'is a directory' if path.is_dir() else 'no such file'}")
    return path.read_bytes()


def _why_nothing_was_removed(connection: psycopg.Connection, model: str) -> str:
    rows = connection.execute(
        "select valid_from from chat_rollups.own_prices where model = %s order by valid_from", [model]
    )
    days = ", ".join(str(day) for (day,) in rows)
    found = f"its own prices are valid from {days}" if days else "the model has no own price"
    return f"nothing was removed for {model!r}: {found}"


def _as_json(model: LoggedModel) -> bytes:
    names = (*COLUMNS, "unpriced_since", "state")
    return encoder.encode({name: getattr(model, name) for name in names})


def _print(models: list[LoggedModel], days: int) -> None:
    """The table, and a paragraph for each kind of price that needs something."""
    if not models:
        typer.echo(f"no model was logged in the last {number(days, 'day')}")
        return
    rows = [[getattr(model, name) for name in COLUMNS] for model in models]
    print_table(COLUMNS, rows, NARROW_COLUMNS, "--json")
    for paragraph in advice(models):
        typer.echo(f"\n{paragraph}")
