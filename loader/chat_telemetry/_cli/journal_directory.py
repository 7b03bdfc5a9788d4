"""Checks a journal directory before a command opens, changes or creates anything in it."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from chat_telemetry._cli.errors import UsageError
from chat_telemetry._delivery.locked_files import HAS_LOCKS, NEEDS_LOCKS
from chat_telemetry._delivery.private_files import check_directory, current_user, files_named
from chat_telemetry._delivery.segment import NAME
from chat_telemetry._settings import journal_directory


def journal_path(text: str) -> Path:
    """The value of `--journal-dir`. Raises BadParameter if it is empty, which would mean the current directory."""
    if not text.strip():
        raise typer.BadParameter("it is empty: name the directory of the journals")
    return Path(text)


JournalDirs = Annotated[
    list[Path] | None,
    typer.Option(
        "--journal-dir",
        parser=journal_path,
        metavar="PATH",
        show_default=False,
        help="A journal directory. Repeatable. Without it, the one of CHAT_TELEMETRY_JOURNAL_DIR.",
    ),
]


def chosen(directories: list[Path] | None) -> list[Path]:
    """The directories of JournalDirs, each once."""
    if directories is None and (of_the_loader := os.environ.get("CHAT_TELEMETRY_JOURNAL_DIR")):
        directories = [Path(of_the_loader)]  # typer would split it at each colon
    return list(dict.fromkeys(directories or ()))


def usable(directory: Path, command: str) -> Path:
    """The directory, if this user may work in it. `command` is what its owner runs instead, without `--journal-dir`.

    Raises UsageError if it is missing, belongs to another user, or can be written to by one.
    """
    if str(directory).startswith("~"):  # as an env file passes it
        directory = journal_directory(directory)
    if not HAS_LOCKS:
        raise UsageError(NEEDS_LOCKS)
    if not directory.is_dir():
        raise UsageError(f"{directory}: no such directory")
    owner = directory.stat().st_uid
    if owner != current_user():
        place = shlex.quote(str(directory.absolute()))
        command = f"sudo -u {user_name(owner)} {command} --journal-dir {place}"
        raise UsageError(f"{directory} belongs to another user: run `{command}`")
    try:
        check_directory(directory)
        files_named(NAME, directory)
    except OSError as error:
        raise UsageError(error.strerror) from error
    return directory


def user_name(user: int) -> str:
    """As `sudo -u` expects it. A user of another container has no name here."""
    import pwd  # noqa: PLC0415  # Windows has none

    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"'#{user}'"
