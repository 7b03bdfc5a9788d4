"""The lines that this process accepted, on disk until the database has answered for them.

What a process leaves when it dies is what it had not delivered. Copies of two segments are in memory at most: what is
beyond them is read back for delivery, so that an outage takes disk space only.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path

from chat_telemetry._delivery.segment import Segment

# Where the next one begins. A segment is deleted as a whole.
SEGMENT_BYTES = 16 * 2**20
# While there are fewer, a new one keeps copies of its lines in memory.
COPIED_SEGMENTS = 2


class Journal:
    """The segments of one client, oldest first; lines are appended to the last and read from the first.

    The lock of the queue protects it, but for `read`, which only the delivery thread calls.
    """

    def __init__(self, directory: Path) -> None:
        """Nothing is made before the first line: neither file nor directory."""
        self.directory = directory
        self._segments: deque[Segment] = deque()

    def append(self, line: bytes) -> None:
        """Append a line. Raises OSError, and keeps nothing of it, if the disk does not take it."""
        if not self._segments or self._segments[-1].size >= SEGMENT_BYTES:
            keeps_copies = len(self._segments) < COPIED_SEGMENTS
            self._segments.append(Segment.create(self.directory, keeps_copies=keeps_copies))
        self._segments[-1].append(line)

    def read(self, max_lines: int, max_bytes: int) -> list[bytes]:
        """The first lines that are not settled; there is one. Raises OSError."""
        return self._segments[0].read(max_lines, max_bytes)

    def settle(self, lines: list[bytes]) -> Segment | None:
        """Let go of the first lines. Returns a segment that nobody needs any more, to be deleted."""
        first = self._segments[0]
        first.settle(lines)
        if first.is_settled and (len(self._segments) > 1 or not first.clear()):
            return self._segments.popleft()
        return None

    def close(self) -> None:
        """Leave what is not settled to whoever looks for the journals of dead processes."""
        while self._segments:
            segment = self._segments.popleft()
            if segment.is_settled:
                segment.delete()
            else:
                segment.release()

    def forget(self) -> None:
        """In a forked child: leave the segments, and the locks on them, to the parent."""
        while self._segments:
            self._segments.popleft().release()
