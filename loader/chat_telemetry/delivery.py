"""The thread that takes batches from the queue to the database: its start, its life, a fork and the exit.

It ends when its queue is closed and empty, and at nothing else: whatever goes wrong is a reason to try again later.
"""

from __future__ import annotations

import atexit
import os
import random
import threading
import time
import weakref
from functools import cache

from chat_telemetry.errors import TelemetryError
from chat_telemetry.line_queue import LineQueue
from chat_telemetry.log import LimitedLog, logger
from chat_telemetry.settings import Settings
from chat_telemetry.store import Rejection, Store

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 15.0


class Delivery:
    """Delivers the lines of one queue through one store."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.queue = LineQueue(settings)
        self.exit_timeout = settings.exit_timeout
        self._store = store
        self.reset()
        _deliveries.add(self)

    def reset(self) -> None:
        """No thread yet, nothing queued: at first, and in a forked child, which has only the thread that forked."""
        self.running = False
        self.log = LimitedLog()
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._failures = 0

    def start(self) -> None:
        """Start the thread, unless it runs."""
        _close_all_at_exit()
        with self._lock:
            if not self.running:
                self._thread = threading.Thread(target=self._run, name="chat-telemetry", daemon=True)
                self.running = True
                try:
                    self._thread.start()
                except RuntimeError:
                    # No thread can be had now (limits, interpreter exit): the next record tries again.
                    self._thread, self.running = None, False

    def close(self, timeout: float) -> bool:
        """Deliver what is queued and end the thread, within `timeout` seconds; False if anything was given up."""
        deadline = time.monotonic() + timeout
        is_delivered = self.queue.close(timeout)
        if thread := self._thread:
            thread.join(max(0.0, deadline - time.monotonic()))
        if not is_delivered:
            self.log.warn("closed before everything was delivered: %s", self.queue.stats())
        return is_delivered

    def restart_in_child(self) -> None:
        """Leave lines and connection to the parent process, who still delivers them."""
        self._store.forget_connection()
        self.queue.reset()
        self.reset()

    def _run(self) -> None:
        try:
            while (lines := self.queue.take()) is not None:
                try:
                    self._deliver(lines)
                except Exception as error:
                    self._wait_after(error)
        finally:
            self._store.close()
            self.running = False

    def _deliver(self, lines: list[bytes]) -> None:
        if not lines:
            self._store.close()
            return
        result = self._store.insert(lines)
        self.queue.settle(stored=result.stored, duplicates=result.duplicates, rejected=len(result.rejected))
        if self._failures:
            self._failures = 0
            logger.info("the database takes telemetry again")
        for rejection in result.rejected:
            self._reject(lines[rejection.index], rejection)

    def _reject(self, line: bytes, rejection: Rejection) -> None:
        logger.debug("a record of %d bytes was refused: %s", len(line), rejection.reason)
        self.log.warn("the database refuses a record for good: %s; see stats() for how many", rejection.reason)

    def _wait_after(self, error: Exception) -> None:
        self._failures += 1
        fault = str(error) if isinstance(error, TelemetryError) else f"delivery failed ({type(error).__name__})"
        self.log.warn(f"{fault}; records wait in memory")
        longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(self._failures - 1, 10))
        self.queue.pause(longest * random.uniform(0.5, 1.0))  # noqa: S311 - spreads the clients of a restarted server


_deliveries: weakref.WeakSet[Delivery] = weakref.WeakSet()


def _restart_all_in_child() -> None:
    for delivery in list(_deliveries):
        delivery.restart_in_child()


os.register_at_fork(after_in_child=_restart_all_in_child)


@cache
def _close_all_at_exit() -> None:
    atexit.register(_close_all)


def _close_all() -> None:
    """The clients share the time: each is closed once its own exit timeout, counted from now, is over."""
    started = time.monotonic()
    deliveries = list(_deliveries)
    for delivery in deliveries:
        delivery.queue.seal()
    for delivery in deliveries:
        delivery.close(max(0.0, delivery.exit_timeout - (time.monotonic() - started)))
