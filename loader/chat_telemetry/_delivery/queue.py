"""The queue between the threads that persist records and the thread that delivers them.

Lines wait in the journal if there is one, otherwise in memory. The counters change under the same lock as the lines, so
at every moment they add up.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

from chat_telemetry._delivery.journal import Journal
from chat_telemetry._delivery.memory import Memory
from chat_telemetry._settings import Settings
from chat_telemetry._stats import Stats

# After this time without a line `take` returns an empty batch, so that the thread closes its connection.
IDLE_S = 60.0
# While a flush or a close waits, a failed batch is tried again after this time, however long the backoff is.
URGENT_PAUSE_S = 0.2

_NEVER = 2**63


class LineQueue:
    """Lines wait here until the database acknowledges them. The batch that is being sent still counts as waiting.

    Any thread may call put, flush, close and stats. One thread calls take, acknowledge and pause. The lock is
    reentrant, so that a signal handler or a finalizer may persist a record, too.
    """

    def __init__(self, settings: Settings, journal: Journal | None = None) -> None:
        self._settings = settings
        self._journal = journal
        self._closed = False
        self.reset()

    def reset(self) -> None:
        """Empty the queue, in a forked child: its lines belong to the parent, and no thread would release the lock."""
        if self._journal is not None:
            self._journal.forget()
        self._memory = Memory(self._settings.max_queue_records, self._settings.max_queue_bytes)
        self._lock = threading.RLock()
        self._work = threading.Condition(self._lock)
        self._acknowledged = threading.Condition(self._lock)
        self._accepted = self._waiting = self._waiters = 0
        self._batch: list[bytes] = []
        self._lost_under_way = 0
        self._source: Memory | Journal = self._memory
        self._wake_at = _NEVER
        self._delivery_ended = False
        self._journal_error: str | None = None
        self._counts: Counter[str] = Counter()

    @property
    def closed(self) -> bool:
        """Whether the queue has stopped accepting lines. Those that it accepted before are still delivered."""
        return self._closed

    def put(self, line: bytes) -> bool:
        """Add a line. Returns False if there is no room or the queue is closed."""
        with self._lock:
            if self._closed:
                return self._drop()
            try:
                if self._journal is None or not self._is_journaled(self._journal, line):
                    self._memory.append(line)
            except OSError:
                return self._drop()
            self._accepted += 1
            self._waiting += 1
            # Notify only a thread that waits for this line: a notification costs more than the rest of this method.
            if self._waiting >= self._wake_at:
                self._wake_at = _NEVER
                self._work.notify()
            return True

    def count(self, **events: int) -> None:
        """Add to those counters of `Stats` that are not about lines in the queue."""
        with self._lock:
            self._counts.update(events)

    def take(self, *, wait: bool = True, most: int = _NEVER) -> list[bytes] | None:
        """The next batch, of `most` lines. It stays in the queue until it is acknowledged; until then the next `take`
        returns it again.

        Waits for a line, then for a full batch or `max_batch_age`. Returns an empty batch after IDLE_S without a line,
        and None if the queue is closed and empty. Without `wait`, returns at once. Raises OSError if the journal cannot
        be read.
        """
        most = min(most, self._settings.batch_records)
        with self._lock:
            if wait:
                self._wait_for_lines(1, IDLE_S)
                if self._waiting:
                    self._wait_for_lines(most, self._settings.max_batch_age)
            if self._memory or not self._journal or self._delivery_ended:
                self._source = self._memory
                self._batch = self._memory.read(most, self._settings.batch_bytes)
                return None if self._closed and not self._batch else self._batch
            self._source = self._journal
        # Outside the lock: a disk may be slow, and chat code must not wait for it.
        self._batch = self._source.read(most, self._settings.batch_bytes)
        return self._batch

    def acknowledge(self, *, stored: int, duplicates: int, rejected: int) -> None:
        """Remove the current batch. The three counts add up to its length."""
        with self._lock:
            count = len(self._batch)  # before the subtraction, like `size` in Memory.append
            finished_segment = self._source.acknowledge(self._batch)
            if self._delivery_ended and (self._source is self._memory or self._lost_under_way):
                self._counts["discarded_at_exit"] -= count  # it was given up before its outcome was known
            else:
                self._waiting -= count
            self._batch, self._lost_under_way = [], 0
            self._counts.update(stored=stored, duplicates=duplicates, rejected=rejected)
            self._acknowledged.notify_all()
        if finished_segment is not None:
            finished_segment.delete()  # outside the lock, because it waits for the disk

    def pause(self, seconds: float) -> None:
        """Wait after a failure, at most URGENT_PAUSE_S while a flush or a close waits for the outcome."""
        with self._lock:
            self._batch = []
            if self._work.wait_for(lambda: self._waiters or self._delivery_ended, seconds) and not self._delivery_ended:
                self._work.wait(min(seconds, URGENT_PAUSE_S))
            if self._delivery_ended:
                self._end_delivery()

    def rewrite_lost_journal(self) -> str | None:
        """Rewrite the journal's files that somebody deleted or moved. Returns what to warn of; None if all exist."""
        if self._journal is None or not (lost := self._journal.lost_segments()):
            return None
        try:
            with self._lock:
                lost = self._journal.end_segments(lost)
            for segment in lost:  # outside the lock, because it waits for the disk
                segment.rewrite(self._journal.directory)
        except OSError as error:
            return f"they cannot be written again ({error.strerror}), so their records are lost if this process ends"
        return "their records were written again"

    def flush(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds until everything accepted so far is stored or permanently rejected.

        Returns False if some of it is pending, was discarded, or was left in the journal.
        """
        with self._lock:
            target = self._accepted
            self._wait_for_acknowledgements(lambda: self._acknowledged_count() + self._undelivered() >= target, timeout)
            return self._acknowledged_count() >= target

    def stop_accepting(self) -> None:
        """Stop accepting lines. Those that were accepted are still delivered."""
        with self._lock:
            self._closed = True
            self._work.notify_all()

    def close(self, timeout: float) -> bool:
        """Stop accepting lines, wait at most `timeout` seconds for delivery, then end it after the current batch.

        Returns False if some lines were discarded or left in the journal. The current batch is among them, because
        nobody may learn its outcome. If its outcome arrives, it is counted by that.
        """
        with self._lock:
            self._closed = True
            self._wait_for_acknowledgements(lambda: not self._waiting, timeout)
            self._end_delivery()
            return not self._waiting and not self._counts["discarded_at_exit"]

    def close_journal(self) -> None:
        """Release the journal for other processes, once no thread takes lines any more."""
        with self._lock:
            if self._journal is not None:
                self._journal.close()

    def take_journal_error(self) -> str | None:
        """The text of the last failed journal write since the previous call; None if there was none."""
        with self._lock:
            error, self._journal_error = self._journal_error, None
            return error

    @property
    def has_work(self) -> bool:
        """Whether lines wait that are to be delivered, the current batch included."""
        with self._lock:
            return self._waiting > 0 and not self._delivery_ended

    def stats(self) -> Stats:
        """The counters at one moment."""
        with self._lock:
            left = self._left_in_journal()
            return Stats(accepted=self._accepted, **self._counts, left_in_journal=left, pending=self._waiting - left)

    def _is_journaled(self, journal: Journal, line: bytes) -> bool:
        try:
            journal.append(line)
        except OSError as error:
            self._counts["journal_failures"] += 1
            self._journal_error = error.strerror
            return False
        return True

    def _drop(self) -> bool:
        self._counts["dropped"] += 1
        return False

    def _undelivered(self) -> int:
        return self._counts["discarded_at_exit"] + self._left_in_journal()

    def _left_in_journal(self) -> int:
        if not self._delivery_ended or self._journal is None:
            return 0
        return len(self._journal) - self._lost_under_way

    def _acknowledged_count(self) -> int:
        counts = self._counts
        return counts["stored"] + counts["duplicates"] + counts["rejected"] - counts["recovered"]

    def _wait_for_lines(self, count: int, timeout: float) -> None:
        self._wake_at = count
        self._work.wait_for(
            lambda: self._waiting >= count or self._closed or (self._waiters and self._waiting), timeout
        )
        self._wake_at = _NEVER

    def _wait_for_acknowledgements(self, arrived: Callable[[], bool], timeout: float) -> None:
        self._waiters += 1
        self._work.notify_all()
        try:
            self._acknowledged.wait_for(arrived, min(timeout, threading.TIMEOUT_MAX))
        finally:
            self._waiters -= 1

    def _end_delivery(self) -> None:
        given_up = -self._lost_under_way  # counted again, because the outcome of the batch may be known now
        if not self._delivery_ended:
            self._delivery_ended = True
            given_up += len(self._memory)
        in_memory = self._source is self._memory
        if self._journal is not None:
            removed, self._lost_under_way = self._journal.discard_lost([] if in_memory else self._batch)
            given_up += removed + self._lost_under_way
        self._waiting -= given_up
        self._counts["discarded_at_exit"] += given_up
        self._memory.discard(keep=len(self._batch) if in_memory else 0)
        self._work.notify_all()
        self._acknowledged.notify_all()
