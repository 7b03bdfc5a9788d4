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
from pathlib import Path

from chat_telemetry._delivery.dead_letters import DeadLetters
from chat_telemetry._delivery.journal import Journal
from chat_telemetry._delivery.queue import LineQueue
from chat_telemetry._delivery.recovery import Recovery
from chat_telemetry._delivery.store import InsertResult, Rejection, Store
from chat_telemetry._errors import TelemetryError
from chat_telemetry._log import LimitedLog, logger
from chat_telemetry._settings import Settings

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 15.0


class Delivery:
    """Delivers the lines of one queue through one store, and in between those that dead processes left."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.exit_timeout = settings.exit_timeout
        self._store = store
        self._dead_letters: DeadLetters | None = None
        self._recovery: Recovery | None = None
        journal = None
        if settings.journal_dir:
            directory = Path(settings.journal_dir).absolute()
            journal = Journal(directory)
            self._dead_letters = DeadLetters(directory)
            self._recovery = Recovery(directory, settings.batch_records, self._recover, self._report_unreadable)
        self.queue = LineQueue(settings, journal)
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
        if not self.running:
            self.queue.close_journal()  # the thread has done so, if there was one
        if not is_delivered:
            self.log.warn("closed before everything was delivered: %s", self.queue.stats())
        return is_delivered

    def restart_in_child(self) -> None:
        """Leave lines and connection to the parent process, who still delivers them."""
        self._store.forget_connection()
        if self._recovery is not None:
            self._recovery.close()
        self.queue.reset()
        self.reset()

    def _run(self) -> None:
        try:
            while self._step():
                pass
        finally:
            self._store.close()
            if self._recovery is not None:
                self._recovery.close()
            self.queue.close_journal()
            self.running = False

    def _step(self) -> bool:
        """Deliver a batch of the queue and one of the dead; False once the queue is closed and empty."""
        try:
            is_patient = self._recovery is None or not self._recovery.is_due
            lines = self.queue.take(patiently=is_patient)
            if lines is None:
                return False
            if fault := self.queue.journal_fault:
                self.queue.journal_fault = None
                self.log.warn("the journal cannot be written (%s): records wait in memory only", fault)
            if lines:
                self._deliver(lines)
            is_recovering = self._recovery is not None and self._recovery.is_due and self._recovery.step()
            if is_patient and not lines and not is_recovering:
                self._store.close()
        except Exception as error:
            self._wait_after(error)
        return True

    def _deliver(self, lines: list[bytes]) -> None:
        result = self._send(lines)
        self.queue.settle(stored=result.stored, duplicates=result.duplicates, rejected=len(result.rejected))

    def _recover(self, lines: list[bytes]) -> None:
        result = self._send(lines)
        counts = {"stored": result.stored, "duplicates": result.duplicates, "rejected": len(result.rejected)}
        self.queue.count(recovered=len(lines), **counts)

    def _send(self, lines: list[bytes]) -> InsertResult:
        """Insert the lines, and see to those that were refused before anybody lets go of them."""
        result = self._store.insert(lines)
        if self._failures:
            self._failures = 0
            logger.info("the database takes telemetry again")
        for rejection in result.rejected:
            self._reject(lines[rejection.index], rejection)
        return result

    def _reject(self, line: bytes, rejection: Rejection) -> None:
        logger.debug("a record of %d bytes was refused: %s", len(line), rejection.reason)
        self.log.warn("the database refuses a record for good: %s; see stats() for how many", rejection.reason)
        if self._dead_letters is not None:
            try:
                self._dead_letters.add(line, rejection)
            except OSError as error:
                self.queue.count(journal_failures=1)
                self.log.warn("a refused record could not be kept as a dead letter: %s", error.strerror)

    def _report_unreadable(self, path: Path, error: OSError) -> None:
        self.log.warn("a journal cannot be taken over: %s: %s", path, error.strerror)

    def _wait_after(self, error: Exception) -> None:
        self._failures += 1
        fault = str(error) if isinstance(error, TelemetryError) else f"delivery failed ({type(error).__name__})"
        self.log.warn(f"{fault}; records wait in {'memory' if self._recovery is None else 'the journal'}")
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
