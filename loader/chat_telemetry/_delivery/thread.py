"""The thread that sends batches from the queue to the database: start, loop, fork and exit.

It ends only when its queue is closed and empty. Every exception is a reason to try again later. If no thread can start,
because of a process limit or because the interpreter exits, a flush and a close deliver in their own thread.
"""

from __future__ import annotations

import random
import threading
import time
import weakref
from pathlib import Path

from chat_telemetry._delivery.dead_letters import DeadLetters
from chat_telemetry._delivery.journal import Journal, resolved_directory
from chat_telemetry._delivery.process_end import ProcessEnd
from chat_telemetry._delivery.queue import URGENT_PAUSE_S, LineQueue
from chat_telemetry._delivery.recovery import Recovery
from chat_telemetry._delivery.store import TELL_AFTER_S, InsertResult, Rejection, Store
from chat_telemetry._encoding import longest_line
from chat_telemetry._errors import TelemetryError
from chat_telemetry._forks import call_in_child, watch_uwsgi
from chat_telemetry._logger import LimitedLogger, logger
from chat_telemetry._settings import Settings

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 15.0


class DeliveryThread:
    """Delivers the lines of one queue through one store. Between its batches it sends the lines of dead processes."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.exit_timeout = settings.exit_timeout
        self._store = store
        store.tell_slow = self._tell_slow
        self._dead_letters: DeadLetters | None = None
        self._recovery: Recovery | None = None
        journal = None
        if directory := resolved_directory(settings.journal_dir):
            longest = longest_line(settings.max_text_chars, settings.max_name_chars)
            journal = Journal(directory, longest)
            self._dead_letters = DeadLetters(directory)
            self._recovery = Recovery(
                directory, settings.batch_records, self._send_recovered, self._warn_unreadable, longest
            )
        self.queue = LineQueue(settings, journal)
        self.reset()
        _delivery_threads.add(self)
        if _process_end.has_come:
            self.queue.stop_accepting()  # nothing would close this client any more

    def reset(self) -> None:
        """Forget the thread: at first, and in a forked child, where only the thread that forked exists."""
        self.running = False
        self.limited_logger = LimitedLogger()
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._failures = 0

    def start(self) -> None:
        """Start the thread if it does not run."""
        watch_uwsgi()
        is_in_time = _process_end.watch()
        self._start_thread()
        if not is_in_time:
            self.close(self.exit_timeout)  # no hook will do that

    def flush(self, timeout: float) -> bool:
        """Wait for delivery, at most `timeout` seconds. False if some lines are not delivered."""
        deadline = time.monotonic() + timeout
        self._deliver_without_thread(deadline)
        return self.queue.flush(max(0.0, deadline - time.monotonic()))

    def close(self, timeout: float) -> bool:
        """Deliver what is queued and end the thread, in at most `timeout` seconds. False if some lines are left."""
        deadline = time.monotonic() + timeout
        self.queue.stop_accepting()
        self._deliver_without_thread(deadline)
        is_delivered = self.queue.close(max(0.0, deadline - time.monotonic()))
        _without_thread.discard(self)
        if thread := self._thread:
            thread.join(max(0.0, deadline - time.monotonic()))
        if not self.running:
            self.queue.close_journal()  # without a thread: otherwise the thread closes it
        if not is_delivered:
            self.limited_logger.warn("closed before everything was delivered: %s", self.queue.stats())
        return is_delivered

    def restart_in_child(self) -> None:
        """Leave lines and connection to the parent process, which still delivers them."""
        self._store.forget_connection()
        if self._recovery is not None:
            self._recovery.close()
        self.queue.reset()
        self.reset()

    def _start_thread(self) -> None:
        with self._lock:
            if self.running:
                return
            self._thread = threading.Thread(target=self._run, name="chat-telemetry", daemon=True)
            self.running = True
            try:
                self._thread.start()
                _without_thread.discard(self)
            except RuntimeError:
                # No thread can start now (process limit, interpreter exit). The next record tries again.
                self._thread, self.running = None, False
                _without_thread.add(self)

    def _run(self) -> None:
        try:
            while self._process_one_batch():
                pass
        finally:
            self._store.close()
            if self._recovery is not None:
                self._recovery.close()
            self.queue.close_journal()
            self.running = False

    def _deliver_without_thread(self, deadline: float) -> None:
        """Deliver in this thread until the deadline, unless the delivery thread runs or can be started."""
        if self.running or not self.queue.has_work:
            return
        self._start_thread()
        with self._lock:
            if self.running:
                return
            self.running = True
        self._store.until = deadline
        try:
            while time.monotonic() < deadline and (lines := self.queue.take(wait=False, most=self._store.size.limit)):
                try:
                    self._deliver(lines)
                except Exception as error:
                    self._warn_of_failure(error)
                    self.queue.pause(min(URGENT_PAUSE_S, max(0.0, deadline - time.monotonic())))
        finally:
            self._store.until = float("inf")
            self._store.close()
            self.running = False

    def _process_one_batch(self) -> bool:
        """Deliver one batch of the queue, and recover one if that is due. False once the queue is closed and empty."""
        try:
            may_wait = self._recovery is None or not self._recovery.is_due
            lines = self.queue.take(wait=may_wait, most=self._store.size.limit)
            if lines is None:
                return False
            if outcome := self.queue.rewrite_lost_journal():
                self.limited_logger.warn("files of the journal were deleted or moved while in use: %s", outcome)
            if error := self.queue.take_journal_error():
                self.limited_logger.warn(
                    "the journal cannot be written (%s): records are in memory only", error, reason=error
                )
            if lines:
                self._deliver(lines)
            is_recovering = self._recovery is not None and self._recovery.is_due and self._recovery.process_one_batch()
            if may_wait and not lines and not is_recovering:
                self._store.close()
        except Exception as error:
            self._wait_after(error)
        return True

    def _deliver(self, lines: list[bytes]) -> None:
        result = self._send(lines)
        self.queue.acknowledge(stored=result.stored, duplicates=result.duplicates, rejected=len(result.rejected))

    def _send_recovered(self, lines: list[bytes]) -> None:
        result = self._send(lines)
        counts = {"stored": result.stored, "duplicates": result.duplicates, "rejected": len(result.rejected)}
        self.queue.count(recovered=len(lines), **counts)

    def _send(self, lines: list[bytes]) -> InsertResult:
        """Insert the lines, and keep the rejected ones as dead letters before any line is acknowledged."""
        result = self._store.insert(lines)
        if self._failures:
            self._failures = 0
            logger.info("the database accepts telemetry again")
        for rejection in result.rejected:
            self._keep_rejected(lines[rejection.index], rejection)
        return result

    def _keep_rejected(self, line: bytes, rejection: Rejection) -> None:
        logger.debug("a record of %d bytes was rejected: %s", len(line), rejection.reason)
        self.limited_logger.warn(
            "the database permanently rejected a record: %s; stats() counts how many",
            rejection.reason,
            reason=rejection.reason,
        )
        if self._dead_letters is not None and rejection.may_be_kept:
            try:
                self._dead_letters.add(line, rejection)
            except OSError as error:
                self.queue.count(journal_failures=1)
                text = str(error.strerror)
                self.limited_logger.warn("a rejected record could not be kept as a dead letter: %s", text, reason=text)

    def _warn_unreadable(self, path: Path, error: OSError) -> None:
        self.limited_logger.warn("a journal cannot be recovered: %s: %s", path, error.strerror, reason=str(path))

    def _tell_slow(self) -> None:
        self.limited_logger.warn(
            "a batch has been under way for %d s: the database is slow, or something locks the table", TELL_AFTER_S
        )

    def _wait_after(self, error: Exception) -> None:
        self._warn_of_failure(error)
        longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(self._failures - 1, 10))
        self.queue.pause(longest * random.uniform(0.5, 1.0))  # noqa: S311 - so that clients do not retry all at once

    def _warn_of_failure(self, error: Exception) -> None:
        self._failures += 1
        reason = str(error) if isinstance(error, TelemetryError) else f"delivery failed ({type(error).__name__})"
        self.limited_logger.warn(f"{reason}; records wait in {'memory' if self._recovery is None else 'the journal'}")


_delivery_threads: weakref.WeakSet[DeliveryThread] = weakref.WeakSet()
# Keeps the lines of a client that is garbage-collected before a thread could start, for the end of the process.
_without_thread: set[DeliveryThread] = set()


def _restart_all_in_child() -> None:
    _without_thread.clear()
    for delivery in list(_delivery_threads):
        delivery.restart_in_child()


call_in_child(_restart_all_in_child)


def _close_all() -> None:
    """Close every client. All exit timeouts start now, so the exit takes as long as the longest one, not their sum."""
    started = time.monotonic()
    delivery_threads = list(_delivery_threads)
    for delivery in delivery_threads:
        delivery.queue.stop_accepting()
    for delivery in delivery_threads:
        delivery.close(max(0.0, delivery.exit_timeout - (time.monotonic() - started)))


_process_end = ProcessEnd(_close_all)
