"""One file of lines that wait for delivery, and how many of its bytes are acknowledged."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

from uuid_utils.compat import uuid7

from chat_telemetry._delivery.locked_files import append_whole, leads_to, open_locked
from chat_telemetry._delivery.private_files import A_UUID, create_directory

# One read takes at most this much.
READ_BYTES = 2**20
# The assumed length of a line before the first read.
FIRST_GUESS_BYTES = 1024
# What is kept of a line that is too long to be one of ours: enough to see what it was.
CUT_BYTES = 64 * 2**10

NAME = rf"journal-{A_UUID}\.jsonl"
"""A pattern for the names of segments. Other files in the directory are ignored."""


class Segment:
    """A file that this process has locked. One thread appends to it, one thread reads and acknowledges."""

    def __init__(
        self, path: Path, descriptor: int, *, keeps_copies: bool = False, max_line_bytes: int = sys.maxsize
    ) -> None:
        """`descriptor` comes from `open_locked`. With copies in memory, nothing is read back from the file.

        A longer line than `max_line_bytes` is damage. Lines that this process appends are never longer.
        """
        self.path = path
        self.size = os.fstat(descriptor).st_size
        """In bytes; of whole lines, if this process appended them all."""
        self._descriptor = descriptor
        self._acknowledged = 0
        self._line_bytes = FIRST_GUESS_BYTES
        self._max_line_bytes = max_line_bytes
        self._cut_off = 0
        self._copies: list[bytes] | None = [] if keeps_copies else None

    @classmethod
    def create(cls, directory: Path, *, keeps_copies: bool = False) -> Segment:
        """A new segment. Creates the directory if it is missing. Raises OSError."""
        return cls(*_new_file(directory), keeps_copies=keeps_copies)

    def append(self, line: bytes) -> None:
        """Append a line in one write. Raises OSError, and leaves the file as it was, if the disk does not take it."""
        data = line + b"\n"
        append_whole(self._descriptor, data)
        # `self.size += len(data)` would lose the bytes of a line that a signal handler appends during len().
        size = len(data)
        self.size += size
        if self._copies is not None:
            self._copies.append(line)

    def read(self, max_lines: int, max_bytes: int = READ_BYTES) -> list[bytes]:
        """The first whole lines that are not acknowledged: about `max_bytes`, but at least one line if there is one."""
        if self._copies is not None:
            return within(max_bytes, self._copies[:max_lines])
        size = min(max_bytes, READ_BYTES, max_lines * self._line_bytes)
        data = os.pread(self._descriptor, size, self._acknowledged)
        while b"\n" not in data and len(data) == size and size <= self._max_line_bytes:
            size = min(4 * size, self._max_line_bytes + 1)
            data = os.pread(self._descriptor, size, self._acknowledged)
        *lines, rest = data.split(b"\n", max_lines)
        if lines:
            # The average line sets the size of the next read: bytes beyond the batch would be read twice.
            self._line_bytes = 1 + (len(data) - len(rest)) // len(lines)
        return lines

    def read_rest(self, max_lines: int) -> list[bytes]:
        """Like `read`, for a file that has no writer any more: a crash may have cut off its last line.

        It may also have left a long piece without a line feed, for example of NULs. Only the beginning is returned.
        """
        self._cut_off = 0
        if (lines := self.read(max_lines)) or self.is_finished:
            return lines
        size = min(self.size - self._acknowledged, self._max_line_bytes + 1)
        rest = os.pread(self._descriptor, size, self._acknowledged)
        if len(rest) > self._max_line_bytes:
            end = self._end_of_line(self._acknowledged + len(rest))
            rest = rest[:CUT_BYTES]
            self._cut_off = end - self._acknowledged - len(rest) - 1
        return [rest] if rest else []

    def acknowledge(self, lines: list[bytes]) -> None:
        """Do not return these lines again. They are the first ones."""
        self._acknowledged += sum(map(len, lines)) + len(lines) + self._cut_off
        self._cut_off = 0
        if self._copies is not None:
            del self._copies[: len(lines)]

    @property
    def is_finished(self) -> bool:
        """Whether every line is acknowledged."""
        return self._acknowledged >= self.size

    @property
    def is_lost(self) -> bool:
        """Whether somebody has deleted, moved or replaced the file, so that no other process can find its lines."""
        try:
            return not leads_to(self.path, self._descriptor)
        except OSError:  # for example a directory that cannot be searched at the moment
            return False

    def rewrite(self, directory: Path) -> None:
        """Move the content to a new file, which other processes find. Raises OSError.

        Another thread may read meanwhile, because every line keeps its position. None may append.
        """
        path, descriptor = _new_file(directory)
        try:
            for data in self._blocks(0):
                append_whole(descriptor, data)
        except OSError:
            path.unlink(missing_ok=True)
            os.close(descriptor)
            raise
        old = os.dup(self._descriptor)
        os.dup2(descriptor, self._descriptor, inheritable=False)
        os.close(descriptor)
        self.path = path
        with contextlib.suppress(OSError):
            os.ftruncate(old, 0)
        os.close(old)

    def discard(self, *, keep: list[bytes]) -> int:
        """Remove the lines that are not acknowledged, but `keep`, the first ones. Returns how many were removed."""
        end = self._acknowledged + sum(map(len, keep)) + len(keep)
        removed = 0
        with contextlib.suppress(OSError):
            for data in self._blocks(end):
                removed += data.count(b"\n")
        self.size = end
        return removed

    def clear(self) -> bool:
        """Truncate a finished segment, so that no process sends its lines again. Returns False if the disk refuses.

        A signal handler or finalizer that persists a record may append a line during any call or allocation in this
        method. So no call or allocation stands between a check and the statement that relies on the check.
        """
        copies: list[bytes] = []
        acknowledged = self._acknowledged
        if self.size > acknowledged:
            return True
        try:
            os.ftruncate(self._descriptor, 0)
        except OSError:
            return False
        self.size -= acknowledged
        self._acknowledged = 0
        if self._copies is None and self.size == 0:
            self._copies = copies
        return True

    def delete(self) -> None:
        """Delete the file. If that fails, another process sends its lines again, which is harmless."""
        with contextlib.suppress(OSError):
            if not self.is_lost:  # otherwise the path may be that of another file
                self.path.unlink()
        self.release()

    def release(self) -> None:
        """Unlock the file for the next process that opens it."""
        os.close(self._descriptor)

    def _end_of_line(self, start: int) -> int:
        """The position after the next line feed, or the end of the file."""
        end = start
        for data in self._blocks(start):
            found = data.find(b"\n")
            if found >= 0:
                return end + found + 1
            end += len(data)
        return end

    def _blocks(self, start: int) -> Iterator[bytes]:
        """The bytes from this position to the end of the file. Raises OSError."""
        while data := os.pread(self._descriptor, min(READ_BYTES, self.size - start), start):
            yield data
            start += len(data)


def within(max_bytes: int, lines: list[bytes]) -> list[bytes]:
    """The longest prefix of `lines` that has at most `max_bytes`, but at least one line."""
    if sum(map(len, lines)) <= max_bytes:
        return lines
    return lines[: max(1, sum(size <= max_bytes for size in accumulate(map(len, lines))))]


def _new_file(directory: Path) -> tuple[Path, int]:
    create_directory(directory)
    while True:
        path = directory / f"journal-{uuid7()}.jsonl"
        # Another process that recovers this directory can lock the new file first. Then try another name.
        descriptor = open_locked(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL)
        if descriptor is not None:
            return path, descriptor
