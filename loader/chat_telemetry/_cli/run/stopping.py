"""SIGTERM and Ctrl-C end a run after the current step. A second Ctrl-C ends it at once."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType

LOOK_EVERY_S = 0.2


class Stop:
    """Whether the run was asked to end."""

    def __init__(self) -> None:
        self._event = Event()

    @classmethod
    @contextmanager
    def on_signals(cls) -> Iterator[Stop]:
        """Handle the signals in the block."""
        stop = cls()

        def handle(number: int, frame: FrameType | None) -> None:
            if number == signal.SIGINT and stop.is_requested:
                raise KeyboardInterrupt
            stop.request()

        before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield stop
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @property
    def is_requested(self) -> bool:
        return self._event.is_set()

    def request(self) -> None:
        """Ask the run to end."""
        self._event.set()

    def wait(self, seconds: float) -> None:
        """Wait until the time is over or the end is requested."""
        until = time.monotonic() + seconds
        while not self.is_requested and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, LOOK_EVERY_S))
