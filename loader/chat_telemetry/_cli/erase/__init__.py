"""`chat-telemetry erase`: delete users from the log, the reports, the statistics and the journals."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Annotated

import psycopg
import typer

from chat_telemetry._cli.erase.journals import CleanedDirectory
from chat_telemetry._cli.erase.log import ErasedUser, Log
from chat_telemetry._cli.erase.remains import Remains, find_remains, tables_of
from chat_telemetry._cli.erase.reports import Reports
from chat_telemetry._cli.erase.statistics import clean_statistics
from chat_telemetry._cli.erase.summary import Erasure
from chat_telemetry._cli.erase.users import read_users
from chat_telemetry._cli.errors import CommandError, ExitCode, UsageError, explain
from chat_telemetry._cli.journal_directory import JournalDirs, chosen, usable
from chat_telemetry._cli.options import DatabaseUrlIfNeeded, ask, connect, needed
from chat_telemetry._cli.progress import stage
from chat_telemetry._cli.tables import number
from chat_telemetry._errors import TelemetryError


def erase(
    user_id: Annotated[list[str], typer.Argument(metavar="USER_ID...", help="A user_id of the log, which is a UUID.")],
    *,
    database_url: DatabaseUrlIfNeeded,
    key: Annotated[
        bool, typer.Option("--key", help="Each USER_ID is an id as your application passes it to user_key.")
    ] = False,
    journal_dir: JournalDirs = None,
    dbt: Annotated[bool, typer.Option("--dbt/--no-dbt", help="Run dbt, or leave it to a schedule.")] = True,
    files_only: Annotated[
        bool, typer.Option("--files-only", help="Clean journal directories only. Needs no database.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as a JSON object.")] = False,
) -> None:
    """Delete everything of users and say what is left. The same command continues, and later verifies."""
    users = read_users(user_id, key)
    command = shlex.join(["chat-telemetry", "erase", *map(str, users), "--files-only"])
    directories = [CleanedDirectory(usable(path, command)) for path in chosen(journal_dir)]
    if files_only and not directories:
        raise UsageError("--files-only needs --journal-dir")
    erasure = Erasure([ErasedUser(user) for user in users], directories, in_database=not files_only)
    if files_only:
        _ask(f"Erase {number(users, 'user')} in {', '.join(str(each.directory) for each in directories)}?", yes)
        with _saying_what_is_done(erasure):
            erasure.left = _clean_files(erasure)
    else:
        _erase(erasure, needed(database_url), runs_dbt=dbt, yes=yes)
    _print(erasure, as_json)
    if erasure.left:
        raise typer.Exit(ExitCode.INCOMPLETE)


def _erase(erasure: Erasure, conninfo: str, *, runs_dbt: bool, yes: bool) -> None:
    """The stages. Each of them can be run again after it was killed at any point."""
    users = erasure.user_ids
    with ExitStack() as stack:
        with stage("checks"):
            log = Log(stack.enter_context(connect(conninfo)))
            log.check_references(users)
            reports = stack.enter_context(Reports.checked(log.connection)) if runs_dbt else None
        rows = number(log.count(users), "row")
        _ask(f"Erase {number(users, 'user')} with {rows} of the log of {_place(log.connection)}?", yes)
        stack.enter_context(_saying_what_is_done(erasure))
        log.note(users)
        # Before the rows, because another process can send a journal at any time.
        _clean_files(erasure)
        with stage("deletion") as show:
            for user in erasure.users:
                log.delete(user, show)
        if reports is not None:
            with stage("dbt run") as show:
                erasure.models = reports.run(show)
        dbt = None if reports is None else reports.connection
        with stage("dead rows and statistics") as show:
            erasure.left += clean_statistics(log.connection, dbt, tables_of(log), show)
        erasure.left += _clean_files(erasure)
        erasure.left += find_remains(log, dbt, users)
        for user in erasure.users:
            user.remains_in_auth_users = log.remains_in_auth_users(user.user_id)


def _clean_files(erasure: Erasure) -> list[Remains]:
    return [left for directory in erasure.directories for left in directory.clean(erasure.user_ids)]


def _ask(question: str, yes: bool) -> None:
    ask(question, what="erase", yes=yes, if_no="nothing was erased")


def _place(connection: psycopg.Connection) -> str:
    return f"{connection.info.dbname} on {connection.info.host or 'this machine'}"


@contextmanager
def _saying_what_is_done(erasure: Erasure) -> Iterator[None]:
    """If the command fails, the error says what is done, and that the same command continues."""
    try:
        yield
    except (psycopg.Error, TelemetryError, OSError, KeyboardInterrupt) as error:
        explained = None if isinstance(error, KeyboardInterrupt) else explain(error)
        message = explained.message if explained else "interrupted"
        failed = CommandError(f"{message}. Done: {erasure.so_far()}. Run the same command again, it continues")
        failed.code = explained.code if explained else ExitCode.INTERRUPTED
        raise failed from error


def _print(erasure: Erasure, as_json: bool) -> None:
    if as_json:
        typer.echo(erasure.as_json())
        return
    for line in erasure.as_text():
        typer.echo(line)
