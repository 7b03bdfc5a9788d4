"""`chat-telemetry replay`: send what is in a journal directory and not in the database."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from chat_telemetry._cli.errors import DatabaseRefuses, ExitCode, WrongUse, one_line
from chat_telemetry._cli.options import DatabaseUrl, connect
from chat_telemetry._delivery.dead_letters import FILE_NAME, DeadLetters
from chat_telemetry._delivery.recovery import JOURNALS, Recovery
from chat_telemetry._delivery.store import Store
from chat_telemetry._errors import DatabaseUnavailable

BATCH_LINES = 1000


def replay(
    database_url: DatabaseUrl,
    journal_dir: Annotated[
        Path, typer.Option(envvar="CHAT_TELEMETRY_JOURNAL_DIR", show_default=False, help="Where the journals are.")
    ],
    dead_letters: Annotated[bool, typer.Option(help="Send records again that were refused before.")] = True,
) -> None:
    """Send the journals of processes that are gone, and the dead letters. Nothing is stored twice."""
    directory = journal_dir.absolute()
    if not directory.is_dir():
        raise WrongUse(f"{journal_dir}: no such directory")
    connect(database_url).close()  # its errors say more than those of a store, which are made for logs
    with closing(Store(database_url)) as store:
        sending = Sending(store, directory)
        try:
            if dead_letters:
                sending.send_dead_letters()
            sending.send_journals()
        except DatabaseUnavailable as error:
            raise DatabaseRefuses(f"{error}. Run the same command again, nothing is stored twice") from error
    if not sending.is_complete:
        raise typer.Exit(ExitCode.NOT_ALL_DONE)


class Sending:
    """Sends what is in one directory, and prints what became of it."""

    def __init__(self, store: Store, directory: Path) -> None:
        self.is_complete = True
        self._store = store
        self._directory = directory
        self._dead_letters = DeadLetters(directory)
        self._start_count()

    def send_dead_letters(self) -> None:
        """Those that are refused again are dead letters again. Raises DatabaseUnavailable, OSError."""
        self._start_count()
        self._dead_letters.replay(BATCH_LINES, self._send)
        self._print_count("dead letters")

    def send_journals(self) -> None:
        """Those of running processes are theirs to send. Raises DatabaseUnavailable, OSError."""
        self._start_count()
        recovery = Recovery(self._directory, BATCH_LINES, self._send, self._report_unreadable)
        with closing(recovery):
            while recovery.step():
                pass
        self._print_count("journals")
        if left := sum(1 for _ in self._directory.glob(JOURNALS)) - len(recovery.unreadable):
            typer.echo(f"{left:,} journals are left to the processes that write them")

    def _start_count(self) -> None:
        self._lines = self._stored = self._refused = 0

    def _send(self, lines: list[bytes]) -> None:
        result = self._store.insert(lines)
        for rejection in result.rejected:
            self._dead_letters.add(lines[rejection.index], rejection)
        self._lines += len(lines)
        self._stored += result.stored
        self._refused += len(result.rejected)

    def _print_count(self, source: str) -> None:
        there = self._lines - self._stored - self._refused
        typer.echo(
            f"{source}: {self._lines:,} records: {self._stored:,} stored, {there:,} already there, "
            f"{self._refused:,} refused"
        )
        if self._refused:
            self._complain(f"refused records are in {self._directory / FILE_NAME}, each with its reason")

    def _report_unreadable(self, path: Path, error: OSError) -> None:
        self._complain(f"{path}: {error.strerror}")

    def _complain(self, text: str) -> None:
        self.is_complete = False
        typer.echo(one_line(text), err=True)
