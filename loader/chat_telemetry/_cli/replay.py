"""`chat-telemetry replay`: send the records of a journal directory that are not in the log."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from chat_telemetry._cli.errors import DatabaseFailed, ExitCode, one_line
from chat_telemetry._cli.journal_directory import journal_path, usable
from chat_telemetry._cli.options import DatabaseUrl, Quiet, connect
from chat_telemetry._delivery.dead_letters import FILE_NAME, DeadLetters
from chat_telemetry._delivery.private_files import files_named
from chat_telemetry._delivery.recovery import Recovery
from chat_telemetry._delivery.segment import NAME
from chat_telemetry._delivery.store import Store
from chat_telemetry._encoding import longest_line
from chat_telemetry._errors import DatabaseUnavailable
from chat_telemetry._settings import from_environment

BATCH_LINES = 1000
# Nobody's chat waits for this process, so it reads longer lines than a chat application.
MAX_LINE_BYTES = 16 * 2**20


def replay(
    database_url: DatabaseUrl,
    journal_dir: Annotated[
        Path,
        typer.Option(
            parser=journal_path,
            metavar="PATH",
            envvar="CHAT_TELEMETRY_JOURNAL_DIR",
            show_default=False,
            help="The directory of the journals.",
        ),
    ],
    dead_letters: Annotated[bool, typer.Option(help="Send the dead letters again, too.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object a line.")] = False,
    quiet: Quiet = False,
) -> None:
    """Send the dead letters and the journals of dead processes. Nothing is stored twice."""
    journal_dir = usable(journal_dir, "chat-telemetry replay")
    connect(database_url).close()  # its errors have more detail than those of a store, which must be safe to log
    with closing(Store(database_url)) as store:
        replay = Replay(store, journal_dir.absolute(), as_json=as_json, quiet=quiet)
        try:
            if dead_letters:
                replay.send_dead_letters()
            replay.send_journals()
        except DatabaseUnavailable as error:
            raise DatabaseFailed(f"{error}. Run the same command again, nothing is stored twice") from error
    if not replay.is_complete:
        raise typer.Exit(ExitCode.INCOMPLETE)


class Replay:
    """Sends the records of one directory and prints the outcome."""

    def __init__(self, store: Store, directory: Path, *, as_json: bool = False, quiet: bool = False) -> None:
        self._as_json, self._quiet = as_json, quiet
        self.is_complete = True
        self._store = store
        self._directory = directory
        settings = from_environment()
        self._max_line_bytes = max(MAX_LINE_BYTES, longest_line(settings.max_text_chars, settings.max_name_chars))
        self._dead_letters = DeadLetters(directory, self._max_line_bytes)
        self._start_count()

    def send_dead_letters(self) -> None:
        """Records that are rejected again become dead letters again. Raises DatabaseUnavailable, OSError."""
        self._start_count()
        self._dead_letters.replay(BATCH_LINES, self._send)
        self._print_count("dead letters")

    def send_journals(self) -> None:
        """Skips the journals of running processes, which send them. Raises DatabaseUnavailable, OSError."""
        self._start_count()
        recovery = Recovery(self._directory, BATCH_LINES, self._send, self._warn_unreadable, self._max_line_bytes)
        with closing(recovery):
            while recovery.process_one_batch():
                pass
        self._print_count("journals")
        left = len(files_named(NAME, self._directory)) - len(recovery.unreadable)
        if left and not self._as_json and not self._quiet:
            typer.echo(f"{left:,} journals belong to running processes, which send them")

    def _start_count(self) -> None:
        self._lines = self._stored = self._rejected = self._deleted = 0

    def _send(self, lines: list[bytes]) -> None:
        result = self._store.insert(lines)
        for rejection in result.rejected:
            if rejection.may_be_kept:
                self._dead_letters.add(lines[rejection.index], rejection)
            else:
                self._deleted += 1
        self._lines += len(lines)
        self._stored += result.stored
        self._rejected += len(result.rejected)

    def _print_count(self, source: str) -> None:
        duplicates = self._lines - self._stored - self._rejected
        if self._as_json:
            counts = {"records": self._lines, "stored": self._stored, "already_in_the_log": duplicates}
            typer.echo(json.dumps({"source": source, **counts, "rejected": self._rejected, "deleted": self._deleted}))
        elif self._rejected or not self._quiet:
            typer.echo(
                f"{source}: {self._lines:,} records: {self._stored:,} stored, {duplicates:,} already in the log, "
                f"{self._rejected:,} rejected"
            )
        if self._deleted and not self._as_json:
            typer.echo(f"{self._deleted:,} of the rejected records were deleted, because their users were erased")
        if self._rejected > self._deleted:
            self._warn(f"the rejected records and the reasons are in {self._directory / FILE_NAME}")

    def _warn_unreadable(self, path: Path, error: OSError) -> None:
        self._warn(f"{path}: {error.strerror}")

    def _warn(self, text: str) -> None:
        self.is_complete = False
        typer.echo(one_line(text), err=True)
