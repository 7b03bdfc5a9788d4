"""`chat-telemetry load`: import JSON lines into the log. Invalid lines are rejected with a reason."""

from __future__ import annotations

import io
import json
import sys
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Annotated

import psycopg
import typer

from chat_telemetry._cli.errors import CommandError, DatabaseFailed, ExitCode, NotReady, UsageError, explain, one_line
from chat_telemetry._cli.input_lines import BadLine, InputLine, decompressed, read_lines, to_record
from chat_telemetry._cli.options import DatabaseUrl, Quiet, connect
from chat_telemetry._cli.progress import LoadProgress
from chat_telemetry._cli.referenced_rows import create_referenced_rows
from chat_telemetry._cli.rejects import Rejects, default_path
from chat_telemetry._delivery.store import Rejection, Store
from chat_telemetry._encoding import encode
from chat_telemetry._errors import DatabaseNotReady, DatabaseUnavailable
from chat_telemetry._record import TelemetryRecord

BATCH_LINES = 1000
BATCH_BYTES = 4 * 1024 * 1024
REASONS_SHOWN = 20


def load(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="JSON lines, plain or gzip; - is stdin.")],
    *,
    database_url: DatabaseUrl,
    rejected: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="The file for rejected lines. Default: FILE.rejected.jsonl.", dir_okay=False),
    ] = None,
    create_parents: Annotated[
        bool, typer.Option("--create-parents", help="Create missing users and conversations (plain PostgreSQL).")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object a file.")] = False,
    quiet: Quiet = False,
) -> None:
    """Load JSON lines whose keys are the columns of the log. Loading a file again stores nothing twice."""
    _check(files, rejected)
    with connect(database_url) as connection, closing(Store(database_url, inserts_users=False)) as store:
        if connection.execute("select pg_catalog.to_regclass('public.chat_telemetry_log')").fetchone() == (None,):
            raise NotReady("the database has no public.chat_telemetry_log: run `chat-telemetry migrate`")
        complete = [
            FileLoad(name, store, connection if create_parents else None, as_json=as_json, quiet=quiet).run(
                rejected or default_path(name)
            )
            for name in files
        ]
    if not all(complete):
        raise typer.Exit(ExitCode.INCOMPLETE)


class FileLoad:
    """Loads one input into the log and counts the outcome of its lines."""

    def __init__(
        self, name: str, store: Store, users_connection: psycopg.Connection | None, *, as_json: bool, quiet: bool
    ) -> None:
        self._source = name
        self._as_json, self._quiet = as_json, quiet
        self._name = "stdin" if name == "-" else one_line(name)
        self._store = store
        self._users_connection = users_connection
        self._batch: list[tuple[InputLine, TelemetryRecord]] = []
        self._batch_bytes = 0
        self._lines = self._stored = self._duplicates = 0

    def run(self, rejects_path: Path) -> bool:
        """Load the input and print the outcome. Returns whether all of it is in the log."""
        with ExitStack() as stack:
            stream, size = stack.enter_context(_opened(self._source))
            self._rejects = stack.enter_context(Rejects(rejects_path))
            self._progress = stack.enter_context(LoadProgress(self._name, size, quiet=self._quiet))
            stack.enter_context(self._saying_how_many_are_stored())
            is_whole = self._read(stream)
            self._send()
        self._print_outcome()
        return is_whole and not self._rejects.count

    def _read(self, stream: io.BufferedReader) -> bool:
        """Process every line. Returns whether the input is complete."""
        try:
            for line in read_lines(decompressed(stream)):
                self._lines += 1
                self._take(line)
                if len(self._batch) >= BATCH_LINES or self._batch_bytes >= BATCH_BYTES:
                    self._send()
                    self._progress.advance(stream.tell() if stream.seekable() else 0, self._lines)
        except (EOFError, zlib.error, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            self._progress.note(f"{self._name}: damaged gzip after line {self._lines:,}; earlier lines are loaded")
            return False
        return True

    def _take(self, line: InputLine) -> None:
        try:
            self._batch.append((line, to_record(line)))
            self._batch_bytes += len(line.content)
        except BadLine as error:
            self._reject(line, str(error))

    def _send(self) -> None:
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        if not batch:
            return
        if self._users_connection is not None:
            create_referenced_rows(self._users_connection, [record for _, record in batch])
        result = self._store.insert([encode(record) for _, record in batch])
        self._stored += result.stored
        self._duplicates += result.duplicates
        for rejection in result.rejected:
            self._reject(batch[rejection.index][0], _why(rejection))

    def _reject(self, line: InputLine, reason: str) -> None:
        text = one_line(f"{self._name}:{line.number}: {reason}")
        self._rejects.add(line, text)
        if self._rejects.count <= REASONS_SHOWN:
            self._progress.note(text)

    @contextmanager
    def _saying_how_many_are_stored(self) -> Iterator[None]:
        """If a load stops, the error says how many records are stored, and that the same command continues."""
        try:
            yield
        except (DatabaseUnavailable, psycopg.OperationalError) as error:
            raise DatabaseFailed(f"{_message(error)}. {self._so_far()}") from error
        except KeyboardInterrupt:
            interrupted = CommandError(f"interrupted. {self._so_far()}")
            interrupted.code = ExitCode.INTERRUPTED
            raise interrupted from None

    def _so_far(self) -> str:
        return f"{self._name}: {self._stored:,} stored so far; run the same command again, nothing is stored twice"

    def _print_outcome(self) -> None:
        count = self._rejects.count
        if self._as_json:
            counts = {"lines": self._lines, "stored": self._stored, "already_in_the_log": self._duplicates}
            typer.echo(json.dumps({"file": self._source, **counts, "rejected": count}))
        elif count or not self._quiet:
            typer.echo(
                f"{self._name}: {self._lines:,} lines: {self._stored:,} stored, "
                f"{self._duplicates:,} already in the log, {count:,} rejected"
            )
        if count:
            more = f"{count - REASONS_SHOWN:,} more reasons" if count > REASONS_SHOWN else "reasons"
            typer.echo(
                f"Fix the lines in {self._rejects.path} and load it ({more} in {self._rejects.reasons_path.name})",
                err=True,
            )


def _check(files: list[str], rejected: Path | None) -> None:
    """Check the arguments before anything is loaded. Raises UsageError."""
    for name in files:
        path = Path(name)
        if name == "-":
            continue
        if not path.exists() or path.is_dir():
            raise UsageError(f"{name}: {'is a directory' if path.is_dir() else 'no such file'}")
        if rejected is not None and rejected.exists() and rejected.samefile(path):
            raise UsageError(f"{name}: is also the file for rejected lines: choose another one with --rejected")
    if len(set(files)) < len(files):
        raise UsageError("the same file is given twice")


@contextmanager
def _opened(name: str) -> Iterator[tuple[io.BufferedReader, int | None]]:
    """The input and its size in bytes, None for stdin. Raises OSError."""
    if name == "-":
        yield sys.stdin.buffer, None  # type: ignore[misc]
        return
    path = Path(name)
    with path.open("rb") as stream:
        yield stream, path.stat().st_size if path.is_file() else None


def _why(rejection: Rejection) -> str:
    if rejection.reason.startswith("ForeignKeyViolation") and "user" in rejection.reason:
        return "user_id: no such user in auth.users (--create-parents creates it)"
    return rejection.detail or rejection.reason


def _message(error: Exception) -> str:
    cause = error.__cause__ if isinstance(error, DatabaseUnavailable) else error
    if isinstance(error, DatabaseNotReady) or not isinstance(cause, psycopg.Error):
        return str(error)
    explained = explain(cause)
    return explained.message if explained else str(error)
