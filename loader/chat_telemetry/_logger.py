"""The logger `chat_telemetry`, the only one that the loader uses. It gets neither contents nor credentials."""

from __future__ import annotations

import contextlib
import logging
import threading
import time

logger = logging.getLogger("chat_telemetry")

SILENCE_S = 60.0


class LimitedLogger:
    """Logs each kind of warning at once, and then at most once a minute, however often it happens."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._silent_until: dict[str, float] = {}

    def warn(self, message: str, *args: object) -> None:
        """Log `message % args`, unless the same `message`, with any arguments, was logged less than a minute ago."""
        now = time.monotonic()
        with self._lock:
            if now < self._silent_until.get(message, now):
                return
            self._silent_until[message] = now + SILENCE_S
        # A handler or filter of the application may raise. That must neither fail its chat request nor stop delivery.
        with contextlib.suppress(Exception):
            logger.warning(message, *args)
