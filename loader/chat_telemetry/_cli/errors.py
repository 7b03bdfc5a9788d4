"""The exceptions of the command line: each becomes one line that says what to do, and an exit code."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import psycopg
import typer
from psycopg import errors as sqlstate

from chat_telemetry._errors import TelemetryError

# A table or a report was not made at all, by another version, or by dbt with `--empty`.
NOT_BUILT = (
    sqlstate.UndefinedTable,
    sqlstate.InvalidSchemaName,
    sqlstate.UndefinedColumn,
    sqlstate.ObjectNotInPrerequisiteState,
)


class ExitCode(IntEnum):
    """The exit codes, as `--help` and docs/cli.md list them."""

    DONE = 0
    INCOMPLETE = 1
    USAGE_ERROR = 2
    DATABASE = 3
    NOT_READY = 4
    BUSY = 5
    ATTENTION = 6
    INTERRUPTED = 130
    BROKEN_PIPE = 141


class CommandError(TelemetryError):
    """A command failed. The message says what to do; `code` is the exit code."""

    code = ExitCode.INCOMPLETE


class UsageError(CommandError):
    """The arguments are invalid."""

    code = ExitCode.USAGE_ERROR


class DatabaseFailed(CommandError):
    """The database cannot be reached or rejects the command."""

    code = ExitCode.DATABASE


class NotReady(CommandError):
    """A requirement is missing: migrations, `dbt build`, an extra of the package."""

    code = ExitCode.NOT_READY


class Busy(CommandError):
    """Another run is in progress."""

    code = ExitCode.BUSY


# The worse, the later.
BY_SEVERITY = (
    ExitCode.DONE,
    ExitCode.ATTENTION,
    ExitCode.BUSY,
    ExitCode.INCOMPLETE,
    ExitCode.USAGE_ERROR,
    ExitCode.NOT_READY,
    ExitCode.DATABASE,
    ExitCode.INTERRUPTED,
)


class Explained(NamedTuple):
    """An exception as the user sees it."""

    message: str
    code: ExitCode


def explain(error: Exception) -> Explained | None:
    """The line and the exit code of an exception. None if it is a bug, which keeps its traceback."""
    match error:
        case TelemetryError():
            return Explained(one_line(str(error)), getattr(error, "code", ExitCode.INCOMPLETE))
        case typer.TyperException():
            message = one_line(error.format_message())  # empty if the help was printed instead
            return Explained(message and f"{message} (see chat-telemetry --help)", ExitCode.USAGE_ERROR)
        case psycopg.Error():
            return _explain_database(error)
        case OSError():
            place = f"{error.filename}: " if error.filename else ""
            return Explained(one_line(f"{place}{error.strerror or error}"), ExitCode.INCOMPLETE)
    return None


def one_line(text: str) -> str:
    """`text` on one line, with control characters escaped, so that a terminal cannot interpret them."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in " ".join(text.split()))


def server_message(error: psycopg.Error) -> str:
    """The message of the server or of libpq, on one line and without advice."""
    return one_line(error.diag.message_primary or "") or _libpq_message(str(error))


def _libpq_message(text: str) -> str:
    """The message of libpq without its hints, which are indented."""
    message = one_line(" ".join(line for line in text.splitlines() if not line.startswith("\t")))
    return message.removeprefix("connection failed: ").removeprefix("connection is bad: ")


def _explain_database(error: psycopg.Error) -> Explained:
    message = server_message(error)
    match error:
        case sqlstate.InsufficientPrivilege():
            return Explained(
                f"{message}: connect as a role that is allowed to (docs/cli.md lists them)", ExitCode.DATABASE
            )
        case sqlstate.LockNotAvailable():
            return Explained(f"{message}: another session holds the lock", ExitCode.DATABASE)
        case psycopg.OperationalError():
            return Explained(f"{message}: check --database-url and the server", ExitCode.DATABASE)
    return Explained(message, ExitCode.DATABASE)
