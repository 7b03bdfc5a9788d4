"""What can go wrong on the command line: one line that says what to do, and an exit code."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import psycopg
import typer
from psycopg import errors as sqlstate

from chat_telemetry._errors import TelemetryError


class ExitCode(IntEnum):
    """The exit codes, as `--help` and docs/cli.md list them."""

    DONE = 0
    NOT_ALL_DONE = 1
    WRONG_USE = 2
    DATABASE = 3
    NOT_READY = 4
    INTERRUPTED = 130
    BROKEN_PIPE = 141


class CommandError(TelemetryError):
    """A command stops: the message says what to do, `code` is its exit code."""

    code = ExitCode.NOT_ALL_DONE


class WrongUse(CommandError):
    """The arguments make no sense."""

    code = ExitCode.WRONG_USE


class DatabaseRefuses(CommandError):
    """The database cannot be reached or does not allow it."""

    code = ExitCode.DATABASE


class NotReady(CommandError):
    """Something has to be done first: migrations, `dbt build`, an extra."""

    code = ExitCode.NOT_READY


class Explained(NamedTuple):
    """An error as the user sees it."""

    message: str
    code: ExitCode


def explain(error: Exception) -> Explained | None:
    """The line and the exit code for `error`; None for a bug, which keeps its traceback."""
    match error:
        case TelemetryError():
            return Explained(one_line(str(error)), getattr(error, "code", ExitCode.NOT_ALL_DONE))
        case typer.TyperException():
            message = one_line(error.format_message())  # empty where the help was printed instead
            return Explained(message and f"{message} (see chat-telemetry --help)", ExitCode.WRONG_USE)
        case typer.Abort():
            return Explained("interrupted", ExitCode.INTERRUPTED)
        case psycopg.Error():
            return _explain_database(error)
        case OSError():
            place = f"{error.filename}: " if error.filename else ""
            return Explained(one_line(f"{place}{error.strerror or error}"), ExitCode.NOT_ALL_DONE)
    return None


def one_line(text: str) -> str:
    """`text` on one line, with nothing in it that a terminal would obey."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in " ".join(text.split()))


def _libpq_words(text: str) -> str:
    """libpq's message without its rhetorical questions, which it indents."""
    words = one_line(" ".join(line for line in text.splitlines() if not line.startswith("\t")))
    return words.removeprefix("connection failed: ").removeprefix("connection is bad: ")


def _explain_database(error: psycopg.Error) -> Explained:
    message = one_line(error.diag.message_primary or "") or _libpq_words(str(error))
    match error:
        case sqlstate.UndefinedTable() | sqlstate.UndefinedColumn() | sqlstate.InvalidSchemaName():
            return Explained(f"{message}: run `chat-telemetry migrate`", ExitCode.NOT_READY)
        case sqlstate.InsufficientPrivilege():
            return Explained(f"{message}: connect as a role that may (docs/cli.md lists them)", ExitCode.DATABASE)
        case psycopg.OperationalError():
            return Explained(f"{message}: check --database-url and the server", ExitCode.DATABASE)
    return Explained(message, ExitCode.DATABASE)
