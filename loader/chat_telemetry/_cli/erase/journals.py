"""Removes the records of erased users from a journal directory: dead letters, and journals of dead processes."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from chat_telemetry._cli.erase.remains import Remains
from chat_telemetry._cli.erase.rewriting import NEW_NAME, Replacement, Sieve
from chat_telemetry._cli.erase.users import Lines
from chat_telemetry._delivery.dead_letters import FILE_NAME, LOCK_PAUSE_S, LOCK_TRIES, NAMES
from chat_telemetry._delivery.locked_files import open_locked
from chat_telemetry._delivery.private_files import files_named, open_private
from chat_telemetry._delivery.segment import NAME

DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT)
IN_USE = (
    "a running process sends these records, and the database rejects those of erased users: run this command again in "
    "a minute, or after a restart of the process"
)


@dataclass
class CleanedDirectory:
    """A journal directory, and what was removed from its files."""

    directory: Path
    dead_letters: int = 0
    records: int = 0
    """Of journals."""
    _left: list[Remains] = field(default_factory=list)

    def clean(self, users: Sequence[UUID]) -> list[Remains]:
        """Remove the records of the users. Returns what is left of them, or can be. Raises OSError."""
        self._left = []
        lines = Lines(users)
        _delete_unfinished(self.directory)
        # This one first: a replay renames it to one of the others.
        self.dead_letters += self._cleaned(self.directory / FILE_NAME, lines)
        for path in files_named(NAMES, self.directory):
            if path.name != FILE_NAME:
                self.dead_letters += self._cleaned(path, lines)
        for path in files_named(NAME, self.directory):
            self.records += self._cleaned(path, lines)
        return self._left

    def _cleaned(self, path: Path, lines: Lines) -> int:
        try:
            removed = _clean_letters(path, lines) if path.name == FILE_NAME else _clean(path, lines)
            if removed is None and _count(path, lines):
                self._left.append(Remains(str(path), IN_USE))
        except FileNotFoundError:  # there is none, or another process has delivered it
            return 0
        except OSError as error:
            if error.errno in DISK_IS_FULL:
                raise
            self._left.append(Remains(str(path), f"{error.strerror}; then run this command again"))
            return 0
        return removed or 0


def _clean(path: Path, lines: Lines) -> int | None:
    """Returns how many lines were removed, or None if a running process has locked the file. Raises OSError."""
    locked = open_locked(path, os.O_RDWR)
    if locked is None:
        return None
    with _closing(locked), Replacement(path) as replacement:
        sieve = Sieve(locked, lines)
        _finish(sieve, replacement)
    return sieve.removed


def _clean_letters(path: Path, lines: Lines) -> int | None:
    """The same for the file to which running processes append dead letters. They wait only two seconds for its lock.

    So it is locked only for the lines that were appended since it was read.
    """
    with _closing(open_private(path, os.O_RDONLY)) as descriptor, Replacement(path) as replacement:
        sieve = Sieve(descriptor, lines)
        sieve.read(only_whole_lines=True)
        sieve.copy_to(replacement)
        locked = _lock(path)
        if locked is None:
            return None
        with _closing(locked):
            if os.path.samestat(os.fstat(descriptor), os.fstat(locked)):
                _finish(sieve, replacement)
                return sieve.removed
    return _clean_letters(path, lines)  # a replay took the file, and there is a new one


def _finish(sieve: Sieve, replacement: Replacement) -> None:
    sieve.read()
    sieve.copy_to(replacement)
    if sieve.removed:
        replacement.take_its_place()


def _count(path: Path, lines: Lines) -> int:
    """The lines of the users in a file that another process has locked."""
    with _closing(open_private(path, os.O_RDONLY)) as descriptor:
        sieve = Sieve(descriptor, lines)
        sieve.read()
    return sieve.removed


def _lock(path: Path) -> int | None:
    """Other processes hold the lock only while they write one letter."""
    for _ in range(LOCK_TRIES):
        if (descriptor := open_locked(path, os.O_RDWR)) is not None:
            return descriptor
        time.sleep(LOCK_PAUSE_S)
    return None


def _delete_unfinished(directory: Path) -> None:
    """Delete the new files of a command that was killed before they replaced the old ones."""
    for path in files_named(NEW_NAME, directory):
        with suppress(FileNotFoundError):
            descriptor = open_locked(path, os.O_RDWR)
            if descriptor is not None:
                path.unlink()
                os.close(descriptor)


@contextmanager
def _closing(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)
