"""The options that commands share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, LiteralString

import psycopg
import typer
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo

from chat_telemetry._cli.errors import CommandError, UsageError
from chat_telemetry._database_url import EXPECTED, fault, normalized

CONNECT_TIMEOUT_S = 10
# They end with the transaction, so that a pooler hands none of them to another client.
OWN_SETTINGS: LiteralString = """
    set transaction isolation level read committed;
    set local search_path = pg_catalog, pg_temp;
    set local lock_timeout = '10s';
    set local statement_timeout = 0
"""
# For a transaction that is idle while something else is done.
NO_TIME_LIMITS: LiteralString = """
    select set_config(name, '0', true) from pg_settings
    where name in ('idle_in_transaction_session_timeout', 'transaction_timeout')
"""


def checked_url(conninfo: str) -> str:
    """Reject a string that libpq would misread. The message does not quote it, because it holds a password."""
    conninfo = normalized(conninfo)
    try:
        parts = conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError:
        known = {option.keyword.decode() for option in Conninfo.get_defaults()}
        raise typer.BadParameter(fault(conninfo, known)) from None
    is_stray = not parts or "@" in f"{parts.get('host', '')}{parts.get('dbname', '')}"
    if is_stray or not all(port.isdecimal() for port in str(parts.get("port", 5432)).split(",")):
        raise typer.BadParameter(f"{EXPECTED}, with special characters in the password as %XX")
    return conninfo


def _database_url(check: Callable[[str | None], str | None]) -> Any:
    return typer.Option(
        "--database-url",
        # DATABASE_URL is that of many hosting platforms and frameworks.
        envvar=["CHAT_TELEMETRY_DATABASE_URL", "DATABASE_URL"],
        metavar="URL",
        default_factory=str,
        show_default=False,
        callback=check,
        help="The database: a URL or a libpq connection string. Without it, libpq's variables (PGHOST …).",
    )


def needed(conninfo: str | None) -> str:
    """The checked connection string; an empty one if only variables of libpq say where the database is.

    Raises UsageError if nothing does: the defaults of libpq could be a database that nobody meant.
    """
    if conninfo and conninfo.strip():
        return checked_url(conninfo)
    if not any(os.environ.get(variable) for variable in ("PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE")):
        raise UsageError("Missing option '--database-url' (see chat-telemetry --help)")
    return ""


DatabaseUrl = Annotated[str, _database_url(needed)]
# For a command that does not always need a database, or has subcommands: `needed` checks it where it is used.
DatabaseUrlIfNeeded = Annotated[str, _database_url(lambda conninfo: conninfo)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only what went wrong.")]


def connect(conninfo: str) -> psycopg.Connection:
    """A connection in autocommit. Raises psycopg.OperationalError within 10 s if the server does not answer.

    The search_path of the login may begin with a schema in which others create functions and operators. A statement
    either qualifies all its names, or is in a `transaction`. Nothing is set for the session and no statement is
    prepared, because a pooler gives its sessions to other applications.
    """
    return psycopg.connect(
        conninfo,
        autocommit=True,
        prepare_threshold=None,
        connect_timeout=CONNECT_TIMEOUT_S,
        application_name="chat-telemetry",
        client_encoding="utf8",
    )


@contextmanager
def transaction(connection: psycopg.Connection, *, rolls_back: bool = False) -> Iterator[None]:
    """A transaction in which names without a schema are those of PostgreSQL, and which waits for no lock for long.

    With `rolls_back`, it changes nothing. Not for a table of others, whose triggers may need the search_path of the
    login.
    """
    with connection.transaction(force_rollback=rolls_back):
        connection.execute(OWN_SETTINGS)
        yield


def ask(question: str, *, what: str, yes: bool, if_no: str) -> None:
    """Ask on the terminal, unless `yes`. Raises UsageError without a terminal, and CommandError if the answer is no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{what} asks for confirmation and there is no terminal: add --yes")
    if not typer.confirm(question, err=True):
        raise CommandError(if_no)
