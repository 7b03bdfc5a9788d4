"""The logger `chat_telemetry`, the only one that the loader uses. It gets neither contents nor credentials."""

from __future__ import annotations

import contextlib
import logging
import threading
import time

logger = logging.getLogger("chat_telemetry")

SILENCE_S = 60.0
# If more than this many kinds are logged within a minute, further reasons do not make a kind of their own.
MOST_KINDS = 100


class LimitedLogger:
    """Logs each kind of warning at once, and then at most once a minute, however often it happens."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._silent_until: dict[str, float] = {}

    def warn(self, message: str, *args: object, reason: str = "") -> None:
        """Log `message % args`, unless the same `message` with the same `reason` was logged less than a minute ago."""
        if self._is_due(message, message + reason):
            # A handler or filter of the application may raise. That must neither fail its chat request nor stop
            # delivery.
            with contextlib.suppress(Exception):
                logger.warning(message, *args)

    def _is_due(self, message: str, kind: str) -> bool:
        now = time.monotonic()
        with self._lock:
            if len(self._silent_until) >= MOST_KINDS:
                self._silent_until = {kind: until for kind, until in self._silent_until.items() if now < until}
            if len(self._silent_until) >= MOST_KINDS and kind not in self._silent_until:
                kind = message
            if now < self._silent_until.get(kind, now):
                return False
            self._silent_until[kind] = now + SILENCE_S
            return True
