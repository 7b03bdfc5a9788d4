"""The lines that this process accepted, on disk until the database acknowledges them.

If the process dies, its journal holds what it had not delivered. At most two segments keep copies of their lines in
memory. The lines of the others are read back for delivery, so that an outage needs disk space only.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path

from chat_telemetry._delivery.segment import Segment

# A segment of this size is followed by a new one. Segments are deleted as a whole.
SEGMENT_BYTES = 16 * 2**20
# A new segment keeps copies of its lines in memory while there are fewer segments than this.
COPIED_SEGMENTS = 2


class Journal:
    """The segments of one client, oldest first. Lines are appended to the last one and read from the first one.

    The lock of the queue protects it, except for `read`, which only the delivery thread calls.
    """

    def __init__(self, directory: Path) -> None:
        """Creates neither file nor directory: the first line does."""
        self.directory = directory
        self._segments: deque[Segment] = deque()
        self._lines = 0

    def __len__(self) -> int:
        """The lines that are not acknowledged."""
        return self._lines

    def append(self, line: bytes) -> None:
        """Append a line. Raises OSError, and keeps nothing of the line, if the disk does not take it."""
        if not self._segments or self._segments[-1].size >= SEGMENT_BYTES:
            keeps_copies = len(self._segments) < COPIED_SEGMENTS
            self._segments.append(Segment.create(self.directory, keeps_copies=keeps_copies))
        self._segments[-1].append(line)
        self._lines += 1

    def read(self, max_lines: int, max_bytes: int) -> list[bytes]:
        """The oldest lines. The journal must not be empty. Raises OSError."""
        return self._segments[0].read(max_lines, max_bytes)

    def acknowledge(self, lines: list[bytes]) -> Segment | None:
        """Remove these lines, the oldest ones. Returns a segment that the caller deletes outside the queue's lock."""
        count = len(lines)  # before the subtraction, like `size` in Segment.append
        self._lines -= count
        first = self._segments[0]
        first.acknowledge(lines)
        if first.is_finished and (len(self._segments) > 1 or not first.clear()):
            return self._segments.popleft()
        return None

    def close(self) -> None:
        """Leave the remaining lines to the process that recovers this directory next."""
        while self._segments:
            segment = self._segments.popleft()
            if segment.is_finished:
                segment.delete()
            else:
                segment.release()

    def forget(self) -> None:
        """In a forked child: leave the segments and their locks to the parent."""
        self._lines = 0
        while self._segments:
            self._segments.popleft().release()
