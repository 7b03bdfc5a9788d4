"""The lines that this process accepted, on disk until the database acknowledges them.

If the process dies, its journal holds what it had not delivered. At most two segments keep copies of their lines in
memory. The lines of the others are read back for delivery, so that an outage needs disk space only.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from pathlib import Path

from chat_telemetry._delivery.locked_files import HAS_LOCKS, NEEDS_LOCKS
from chat_telemetry._delivery.segment import Segment
from chat_telemetry._encoding import LONGEST_LINE_BYTES
from chat_telemetry._logger import LimitedLogger
from chat_telemetry._settings import journal_directory

# A segment of this size is followed by a new one. Segments are deleted as a whole.
SEGMENT_BYTES = 16 * 2**20
# A new segment keeps copies of its lines in memory while there are fewer segments than this.
COPIED_SEGMENTS = 2


def resolved_directory(setting: str | os.PathLike[str] | None) -> Path | None:
    """The directory of the setting, symbolic links resolved. None, with a warning, if the system has no locks."""
    if not setting:
        return None
    if not HAS_LOCKS:
        LimitedLogger().warn(f"{NEEDS_LOCKS}: records are in memory only")
        return None
    return Path(os.path.realpath(journal_directory(setting)))


class Journal:
    """The segments of one client, oldest first. Lines are appended to the last one and read from the first one.

    The lock of the queue protects it, except for `read`, which only the delivery thread calls.
    """

    def __init__(self, directory: Path, max_line_bytes: int = LONGEST_LINE_BYTES) -> None:
        """Creates neither file nor directory: the first line does."""
        self.directory = directory
        self._max_line_bytes = max_line_bytes
        self._segments: deque[Segment] = deque()
        self._lines = 0

    def __len__(self) -> int:
        """The lines that are not acknowledged."""
        return self._lines

    def append(self, line: bytes) -> None:
        """Append a line. Raises OSError, and keeps nothing of the line, if the disk does not take it."""
        if len(line) > self._max_line_bytes:  # a recovery would cut it
            raise OSError(errno.EMSGSIZE, f"a line is longer than {self._max_line_bytes} bytes")
        if not self._segments or self._segments[-1].size >= SEGMENT_BYTES:
            self._begin_segment()
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

    def lost_segments(self) -> list[Segment]:
        """The segments whose files somebody has deleted, moved or replaced.

        Needs no lock in the delivery thread: only it removes segments. An iterator would fail if one is added.
        """
        segments = [self._segments[index] for index in range(len(self._segments))]
        return [segment for segment in segments if segment.is_lost]

    def end_segments(self, lost: list[Segment]) -> list[Segment]:
        """Append no line to these segments any more. Returns those that have lines to rewrite. Raises OSError."""
        if lost[-1] is self._segments[-1]:
            self._begin_segment()
        for segment in lost:
            if segment.is_finished:
                self._segments.remove(segment)
                segment.release()
        return [segment for segment in lost if segment in self._segments]

    def discard_lost(self, under_way: list[bytes]) -> tuple[int, int]:
        """At the end of delivery: rewrite lost segments, or else remove their lines, but those that are being sent.

        Returns how many lines were removed, and how many of those that are being sent are in no file any more.
        """
        removed = lost_under_way = 0
        for segment in self.lost_segments():
            try:
                segment.rewrite(self.directory)
            except OSError:
                keep = under_way if segment is self._segments[0] else []
                removed += segment.discard(keep=keep)
                lost_under_way += len(keep)
        self._lines -= removed
        return removed, lost_under_way

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

    def _begin_segment(self) -> None:
        keeps_copies = len(self._segments) < COPIED_SEGMENTS
        self._segments.append(Segment.create(self.directory, keeps_copies=keeps_copies))
