"""One file of lines on their way to the database, and how far the database has answered for them."""

from __future__ import annotations

import contextlib
import os
from itertools import accumulate
from pathlib import Path

from uuid_utils.compat import uuid7

from chat_telemetry._delivery.locked_files import DIRECTORY_MODE, append_whole, open_locked

# Of a segment so much is read at a time, at most.
READ_BYTES = 2**20
# How long lines are, before any was read.
FIRST_GUESS_BYTES = 1024


class Segment:
    """A file whose lock this process holds: one writer appends, one reader reads and settles."""

    def __init__(self, path: Path, descriptor: int, *, keeps_copies: bool = False) -> None:
        """`descriptor` comes from `open_locked`. With copies in memory, nothing is read back from the file."""
        self.path = path
        self.size = os.fstat(descriptor).st_size
        """In bytes, of whole lines if they were all appended here."""
        self._descriptor = descriptor
        self._settled = 0
        self._line_bytes = FIRST_GUESS_BYTES
        self._copies: list[bytes] | None = [] if keeps_copies else None

    @classmethod
    def create(cls, directory: Path, *, keeps_copies: bool = False) -> Segment:
        """A new one, in a directory that is made if need be. Raises OSError."""
        directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        while True:
            path = directory / f"journal-{uuid7()}.jsonl"
            # Somebody who looks for the journals of dead processes may be faster than the lock.
            descriptor = open_locked(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL)
            if descriptor is not None:
                return cls(path, descriptor, keeps_copies=keeps_copies)

    def append(self, line: bytes) -> None:
        """Append a line in one write. Raises OSError, and leaves the file as it was, if the disk does not take it."""
        data = line + b"\n"
        append_whole(self._descriptor, data)
        # No call within the sum: a signal handler that persists a record too would run in it, and its part be lost.
        size = len(data)
        self.size += size
        if self._copies is not None:
            self._copies.append(line)

    def read(self, max_lines: int, max_bytes: int = READ_BYTES) -> list[bytes]:
        """The first whole lines that are not settled: about `max_bytes`, but one at least if there is one."""
        if self._copies is not None:
            return within(max_bytes, self._copies[:max_lines])
        size = min(max_bytes, READ_BYTES, max_lines * self._line_bytes)
        data = os.pread(self._descriptor, size, self._settled)
        while b"\n" not in data and len(data) == size:
            size *= 4
            data = os.pread(self._descriptor, size, self._settled)
        *lines, rest = data.split(b"\n", max_lines)
        if lines:
            # No more than is needed, next time: the rest of what was read now will be read again.
            self._line_bytes = 1 + (len(data) - len(rest)) // len(lines)
        return lines

    def read_rest(self, max_lines: int) -> list[bytes]:
        """Like `read`, of a file that nobody appends to: the last line may have been cut off by a crash."""
        if lines := self.read(max_lines):
            return lines
        rest = os.pread(self._descriptor, self.size - self._settled, self._settled) if not self.is_settled else b""
        return [rest] if rest else []

    def settle(self, lines: list[bytes]) -> None:
        """Never read these again, the first ones."""
        self._settled += sum(map(len, lines)) + len(lines)
        if self._copies is not None:
            del self._copies[: len(lines)]

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left to read."""
        return self._settled >= self.size

    def clear(self) -> bool:
        """Empty a settled segment, so that nobody reads its lines again; False if the disk refuses.

        A signal handler or finalizer that persists a record may append a line at any call or allocation in here: there
        is none between a check and what relies on it.
        """
        copies: list[bytes] = []
        settled = self._settled
        if self.size > settled:
            return True
        try:
            os.ftruncate(self._descriptor, 0)
        except OSError:
            return False
        self.size -= settled
        self._settled = 0
        if self._copies is None and self.size == 0:
            self._copies = copies
        return True

    def delete(self) -> None:
        """Delete the file. If that fails, somebody sends its lines again, which is harmless."""
        with contextlib.suppress(OSError):
            self.path.unlink()
        self.release()

    def release(self) -> None:
        """Leave the file to whoever locks it next."""
        os.close(self._descriptor)


def within(max_bytes: int, lines: list[bytes]) -> list[bytes]:
    """The first of the lines that have no more bytes together, but one at least."""
    if sum(map(len, lines)) <= max_bytes:
        return lines
    return lines[: max(1, sum(size <= max_bytes for size in accumulate(map(len, lines))))]
