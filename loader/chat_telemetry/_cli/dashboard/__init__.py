"""`chat-telemetry dashboard`: the seven reports as one HTML file."""

from __future__ import annotations

import sys
import webbrowser
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import psycopg
import typer

from chat_telemetry._cli.bi.days import FEWEST
from chat_telemetry._cli.bi.reading import DAYS, read_reports
from chat_telemetry._cli.dashboard.writing import write
from chat_telemetry._cli.errors import UsageError
from chat_telemetry._cli.options import DatabaseUrl, connect

MOST_DAYS = 92  # a page of a quarter is still less than 1 MB
STDOUT = Path("-")


class Section(StrEnum):
    """A section that names people or quotes them."""

    USERS = "users"
    SQL = "sql"


def dashboard(
    database_url: DatabaseUrl,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The file to write; - is stdout.")
    ] = Path("dashboard.html"),
    days: Annotated[
        int, typer.Option(min=FEWEST, max=MOST_DAYS, help="The days that the charts show. latency has 30 at most.")
    ] = DAYS,
    omit: Annotated[
        list[Section] | None, typer.Option(help="Leave out a section, to share the file with more people.")
    ] = None,
    opens: Annotated[bool, typer.Option("--open", help="Open the file in a browser.")] = False,
) -> None:
    """Write the seven reports as one HTML file, which loads nothing."""
    if opens and output == STDOUT:
        raise UsageError("--open needs a file: add -o dashboard.html")
    with connect(database_url) as connection:
        page = make_page(connection, days=days, omit=frozenset(omit or ()))
    if output == STDOUT:
        sys.stdout.buffer.write(page)
        return
    write(page, output)
    typer.echo(f"wrote {output} ({len(page) / 1000:,.0f} kB)", err=True)
    if opens and not webbrowser.open(output.resolve().as_uri()):
        typer.echo(f"no browser was found: open {output.resolve()}", err=True)


def make_page(
    connection: psycopg.Connection, *, days: int = DAYS, omit: frozenset[str] = frozenset(), as_login: bool = False
) -> bytes:
    """The page with the reports of a database. Raises like `read_reports`."""
    from chat_telemetry._cli.dashboard.page import render  # noqa: PLC0415  # its libraries take a quarter of a second

    return render(read_reports(connection, days, as_login=as_login), omit).encode()
