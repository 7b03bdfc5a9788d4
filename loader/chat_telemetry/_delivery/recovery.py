"""Sends what dead processes left in their journals.

A segment whose lock is free belongs to nobody who lives: its process was killed, or ended in an outage. One is taken
at a time, so that several processes share the work and none holds many files.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from chat_telemetry._delivery.locked_files import open_locked
from chat_telemetry._delivery.segment import Segment

# So often a running process looks for the journals of others that died meanwhile.
LOOK_EVERY_S = 60.0
JOURNALS = "journal-*.jsonl"


class Recovery:
    """Goes through the journals in one directory, batch by batch. For one thread at a time."""

    def __init__(
        self,
        directory: Path,
        batch_lines: int,
        send: Callable[[list[bytes]], object],
        report_unreadable: Callable[[Path, OSError], object],
    ) -> None:
        """`send` raises what keeps the lines from being sent; then the next step sends them again."""
        self._directory = directory
        self._batch_lines = batch_lines
        self._send = send
        self._report_unreadable = report_unreadable
        self._segment: Segment | None = None
        self.unreadable: set[Path] = set()
        """Journals that cannot be opened or read; the next process tries them anew."""
        self._next_look = 0.0

    @property
    def is_due(self) -> bool:
        """Whether a step would find something to do, or has not looked for a minute."""
        return self._segment is not None or time.monotonic() >= self._next_look

    def step(self) -> bool:
        """Send one batch, or finish with a segment; False if there is none to be had."""
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
            segment.settle(lines)
        else:
            self._segment = None
            segment.delete()
        return True

    def close(self) -> None:
        """Leave the segment at hand to others, in a forked child: to the parent, who still has it."""
        if self._segment is not None:
            self._segment.release()
            self._segment = None

    def _take_over_one(self) -> Segment | None:
        for path in sorted(self._directory.glob(JOURNALS)):
            if path not in self.unreadable:
                try:
                    descriptor = open_locked(path, os.O_RDWR)
                    if descriptor is not None:
                        return Segment(path, descriptor)
                except FileNotFoundError:
                    pass  # another process is done with it
                except OSError as error:
                    self._set_aside(path, error)
        return None

    def _set_aside(self, path: Path, error: OSError) -> None:
        """Not to stumble over the same file again and again."""
        self.unreadable.add(path)
        self._report_unreadable(path, error)
