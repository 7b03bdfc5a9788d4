"""The logger `chat_telemetry`, the only one that the loader touches: no contents and no credentials go to it."""

from __future__ import annotations

import contextlib
import logging
import threading
import time

logger = logging.getLogger("chat_telemetry")

SILENCE_S = 60.0


class LimitedLog:
    """Warns about each kind of trouble at once, and then at most once a minute however often it happens."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._silent_until: dict[str, float] = {}

    def warn(self, message: str, *args: object) -> None:
        """Log the message with its arguments, unless the same message (whatever its arguments) was logged just now."""
        now = time.monotonic()
        with self._lock:
            if now < self._silent_until.get(message, now):
                return
            self._silent_until[message] = now + SILENCE_S
        # An application's log handler or filter that raises must not fail its chat request, nor end the delivery.
        with contextlib.suppress(Exception):
            logger.warning(message, *args)
