"""Sends the lines in the journals of dead processes.

A segment that no process has locked belongs to a dead one: it was killed, or it ended during an outage. Recovery takes
one segment at a time, so that several processes share the work and none opens many files.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from chat_telemetry._delivery.locked_files import open_locked
from chat_telemetry._delivery.private_files import check_directory, files_named
from chat_telemetry._delivery.segment import NAME, Segment
from chat_telemetry._encoding import LONGEST_LINE_BYTES

# A running process looks for journals of dead processes this often.
LOOK_EVERY_S = 60.0


class Recovery:
    """Works through the journals in one directory, batch by batch. For one thread at a time."""

    def __init__(
        self,
        directory: Path,
        batch_lines: int,
        send: Callable[[list[bytes]], object],
        warn_unreadable: Callable[[Path, OSError], object],
        max_line_bytes: int = LONGEST_LINE_BYTES,
    ) -> None:
        """If `send` raises, the next call sends the same lines again. A longer line than `max_line_bytes` is cut."""
        self._directory = directory
        self._batch_lines = batch_lines
        self._send = send
        self._warn_unreadable = warn_unreadable
        self._max_line_bytes = max_line_bytes
        self._segment: Segment | None = None
        self.unreadable: set[Path] = set()
        """Journals that cannot be opened or read. The next process tries them again."""
        self._next_look = 0.0

    @property
    def is_due(self) -> bool:
        """Whether a segment is in progress, or the last look at the directory is a minute old."""
        return self._segment is not None or time.monotonic() >= self._next_look

    def process_one_batch(self) -> bool:
        """Send one batch, or delete a finished segment. Returns False if there is nothing to recover."""
        if self._segment is None:
            self._segment = self._take_over_one()
        if self._segment is None:
            self._next_look = time.monotonic() + LOOK_EVERY_S
            return False
        segment = self._segment
        try:
            lines = segment.read_rest(self._batch_lines)
        except OSError as error:
            self._set_aside(segment.path, error)
            self.close()
            return True
        if lines:
            self._send(lines)
            segment.acknowledge(lines)
        else:
            self._segment = None
            segment.delete()
        return True

    def close(self) -> None:
        """Release the segment in progress: to other processes, or in a forked child to the parent."""
        if self._segment is not None:
            self._segment.release()
            self._segment = None

    def _take_over_one(self) -> Segment | None:
        try:
            check_directory(self._directory)
            paths = files_named(NAME, self._directory)
        except OSError:
            return None  # the journal of this process cannot use the directory either, and the warning says why
        for path in paths:
            if path not in self.unreadable:
                try:
                    descriptor = open_locked(path, os.O_RDWR)
                    if descriptor is not None:
                        return Segment(path, descriptor, max_line_bytes=self._max_line_bytes)
                except FileNotFoundError:
                    pass  # another process has finished it
                except OSError as error:
                    self._set_aside(path, error)
        return None

    def _set_aside(self, path: Path, error: OSError) -> None:
        """Do not try this file again in this process."""
        self.unreadable.add(path)
        self._warn_unreadable(path, error)
