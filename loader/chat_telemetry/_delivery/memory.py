"""Lines in memory until the database acknowledges them: the storage of a client without a journal.

It has the journal's methods. With a journal it takes the lines that the disk does not.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from itertools import islice

from chat_telemetry._delivery.segment import within


class Memory:
    """A bounded number of lines, oldest first. The lock of the queue protects it."""

    def __init__(self, max_lines: int, max_bytes: int) -> None:
        self._max_lines = max_lines
        self._max_bytes = max_bytes
        self._lines: deque[bytes] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        """The lines that are not acknowledged."""
        return len(self._lines)

    def append(self, line: bytes) -> None:
        """Append a line. Raises OSError if there is no room for it."""
        size = len(line)  # `self._bytes += len(line)` would lose a line that a signal handler appends during len()
        if len(self._lines) >= self._max_lines or self._bytes + size > self._max_bytes:
            raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))
        self._lines.append(line)
        self._bytes += size

    def read(self, max_lines: int, max_bytes: int) -> list[bytes]:
        """The oldest lines: at most `max_bytes` together, but at least one line if there is one."""
        return within(max_bytes, list(islice(self._lines, max_lines)))

    def acknowledge(self, lines: list[bytes]) -> None:
        """Remove these lines, the oldest ones."""
        size = sum(map(len, lines))
        self._bytes -= size
        for _ in lines:
            self._lines.popleft()

    def discard(self, *, keep: int) -> None:
        """Remove all lines but the oldest `keep`."""
        while len(self._lines) > keep:
            size = len(self._lines.pop())
            self._bytes -= size
