"""Writes a file again without some of its lines. If that is interrupted, the file is the old or the new one."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import TracebackType
from typing import IO

from uuid_utils.compat import uuid7

from chat_telemetry._cli.erase.users import Lines
from chat_telemetry._delivery.locked_files import append_whole, open_locked
from chat_telemetry._delivery.private_files import A_UUID

# A longer line is damage, which no record is. Only its text is searched, piece by piece.
MAX_LINE_BYTES = 16 * 2**20
# An id on the border of two pieces is shorter than this.
OVERLAP_BYTES = 64
BLOCK_BYTES = 2**20

NEW_NAME = rf"erasing-{A_UUID}\.jsonl"


class Sieve:
    """Reads a file and copies it without the lines of the users."""

    def __init__(self, descriptor: int, lines: Lines) -> None:
        self.removed = 0
        """How many lines of the users were read."""
        self._descriptor = descriptor
        self._lines = lines
        self._read = self._copied = 0
        self._left_out: list[tuple[int, int]] = []

    def read(self, *, only_whole_lines: bool = False) -> None:
        """Read what was not read yet: all, or all up to the last line feed, because somebody may write after it."""
        with os.fdopen(os.dup(self._descriptor), "rb") as stream:
            stream.seek(self._read)
            while line := stream.readline(MAX_LINE_BYTES):
                is_of_users = self._lines.are_of_users(line)
                if len(line) == MAX_LINE_BYTES:
                    line, is_of_users = self._rest(stream, line, is_of_users)
                if only_whole_lines and not line.endswith(b"\n"):
                    return
                if is_of_users:
                    self.removed += 1
                    self._left_out.append((self._read, stream.tell()))
                self._read = stream.tell()

    def copy_to(self, replacement: Replacement) -> None:
        """Copy what was read and not copied yet. If no line is left out, nothing is copied. Raises OSError."""
        if not self.removed:
            return
        for start, end in (*self._left_out, (self._read, self._read)):
            while self._copied < start:
                data = os.pread(self._descriptor, min(BLOCK_BYTES, start - self._copied), self._copied)
                if not data:
                    raise OSError(errno.EIO, "was cut while it was read: run the command again")
                replacement.write(data)
                self._copied += len(data)
            self._copied = max(self._copied, end)

    def _rest(self, stream: IO[bytes], line: bytes, is_of_users: bool) -> tuple[bytes, bool]:
        """Read the rest of a long line. Returns its end, and whether it has the id of one of the users."""
        while not line.endswith(b"\n") and (piece := stream.readline(MAX_LINE_BYTES)):
            line = line[-OVERLAP_BYTES:] + piece
            is_of_users = is_of_users or self._lines.name_users(line)
        return line, is_of_users


class Replacement:
    """A new file that takes the place of an old one. It is deleted if it does not come so far."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._new_path = path.with_name(f"erasing-{uuid7()}.jsonl")
        self._descriptor: int | None = None

    def __enter__(self) -> Replacement:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            self._new_path.unlink(missing_ok=True)
            os.close(self._descriptor)

    def write(self, data: bytes) -> None:
        """Append to the new file, which the first call creates. Raises OSError."""
        if self._descriptor is None:
            # Locked, so that no other command takes it for a file that a killed one left.
            self._descriptor = open_locked(self._new_path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL)
        if self._descriptor is None:
            raise OSError(errno.EAGAIN, "another command works in this directory: run the command again")
        append_whole(self._descriptor, data)

    def take_its_place(self) -> None:
        """Replace the old file, which the caller has locked, or delete it if nothing was written. Raises OSError."""
        if self._descriptor is None:
            self._path.unlink()
        else:
            os.fsync(self._descriptor)
            self._new_path.replace(self._path)
        directory = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)  # otherwise the old file could be back after a power cut
        finally:
            os.close(directory)
