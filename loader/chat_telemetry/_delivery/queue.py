"""The queue between the threads that persist records and the one that delivers them.

It holds encoded lines, in the journal where there is one and else in memory, and keeps the counters: under its one
lock they always add up.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from itertools import islice

from chat_telemetry._delivery.journal import Journal
from chat_telemetry._delivery.segment import within
from chat_telemetry._settings import Settings
from chat_telemetry._stats import Stats

# After so long without a line the delivery thread is told, so that it can hand back its connection.
IDLE_S = 60.0
# While somebody waits in flush or close, a failing database is tried again so soon, whatever the backoff says.
URGENT_PAUSE_S = 0.2

_NEVER = 2**63


class LineQueue:
    """Lines wait here until the database has answered for them; a batch under way still counts as waiting.

    Any thread may put, flush, close and ask for stats; one thread takes, settles and pauses. The lock can be entered
    again by its holder, so that a signal handler or a finalizer may persist a record too.
    """

    def __init__(self, settings: Settings, journal: Journal | None = None) -> None:
        self._settings = settings
        self._max_records = settings.max_queue_records
        self._max_bytes = settings.max_queue_bytes
        self._journal = journal
        self._closed = False
        self.reset()

    def reset(self) -> None:
        """Start anew: in a forked child, where the lines belong to the parent and the lock may be held for ever."""
        if self._journal is not None:
            self._journal.forget()
        self._lock = threading.RLock()
        self._work = threading.Condition(self._lock)
        self._answer = threading.Condition(self._lock)
        self._lines: deque[bytes] = deque()
        self._accepted = self._bytes = self._journaled = self._waiters = 0
        self._batch: list[bytes] = []
        self._is_batch_journaled = False
        self._wake_at = _NEVER
        self._given_up = False
        self.journal_fault: str | None = None
        """What the disk said when a line went to memory; whoever tells people sets it back."""
        self._counts: Counter[str] = Counter()

    @property
    def closed(self) -> bool:
        """Whether lines are turned away because nobody will come for them."""
        return self._closed

    def put(self, line: bytes) -> bool:
        """Add a line, unless there is no room or the queue is closed; say whether it was added."""
        with self._lock:
            if self._closed or not self._keep(line):
                self._counts["dropped"] += 1
                return False
            self._accepted += 1
            # A thread that is awake, or that waits for a full batch, needs no waking: waking costs more than the rest.
            if len(self._lines) + self._journaled >= self._wake_at:
                self._wake_at = _NEVER
                self._work.notify()
            return True

    def count(self, **events: int) -> None:
        """Add to counters of `Stats` that are not about lines in the queue."""
        with self._lock:
            self._counts.update(events)

    def take(self, *, patiently: bool = True) -> list[bytes] | None:
        """Wait for a batch and return it: an empty one after an idle minute, None once the queue is closed and empty.

        Not `patiently`, it returns what is there. The lines stay in the queue until they are settled; what was not is
        returned again. Raises OSError if the journal cannot be read.
        """
        with self._lock:
            if patiently:
                self._wait_for_lines(1, IDLE_S)
                if self._waiting():
                    self._wait_for_lines(self._settings.batch_records, self._settings.max_batch_age)
            journal = self._journal if self._journaled and not self._lines and not self._given_up else None
            self._is_batch_journaled = journal is not None
            if journal is None:
                self._batch = self._first_batch()
                return None if self._closed and not self._batch else self._batch
        # Not under the lock: a disk may take its time, and chat code must not wait for it.
        self._batch = journal.read(self._settings.batch_records, self._settings.batch_bytes)
        return self._batch

    def settle(self, *, stored: int, duplicates: int, rejected: int) -> None:
        """Let go of the batch: the database has answered for so many lines of it, which are all."""
        finished = None
        with self._lock:
            if self._is_batch_journaled and self._journal is not None:
                finished = self._journal.settle(self._batch)
                self._journaled -= len(self._batch)
            else:
                size = sum(map(len, self._batch))
                self._bytes -= size
                for _ in self._batch:
                    self._lines.popleft()
            self._batch = []
            self._counts.update(stored=stored, duplicates=duplicates, rejected=rejected)
            self._answer.notify_all()
        if finished is not None:
            finished.delete()

    def pause(self, seconds: float) -> None:
        """After a failure: wait before the next try, but not for long while somebody waits for its outcome."""
        with self._lock:
            self._batch = []
            if self._work.wait_for(lambda: self._waiters or self._given_up, seconds) and not self._given_up:
                self._work.wait(min(seconds, URGENT_PAUSE_S))
            if self._given_up:
                self._give_up()

    def flush(self, timeout: float) -> bool:
        """Wait until everything accepted so far is stored or refused for good, at most `timeout` seconds.

        False if some of it is still pending, or was given up.
        """
        with self._lock:
            target = self._accepted
            self._wait_for_answers(lambda: self._answered() + self._counts["lost"] + self._left() >= target, timeout)
            return self._answered() >= target

    def seal(self) -> None:
        """Accept no more; what was accepted is still delivered."""
        with self._lock:
            self._closed = True
            self._work.notify_all()

    def close(self, timeout: float) -> bool:
        """Accept no more, wait up to `timeout` seconds for the rest, then give up what is not under way.

        False if some of it was given up, left in the journal or is under way still.
        """
        with self._lock:
            self._closed = True
            self._wait_for_answers(lambda: not self._waiting(), timeout)
            self._give_up()
            return not self._waiting() and not self._counts["lost"]

    def close_journal(self) -> None:
        """Let go of the journal, once nobody takes any more."""
        with self._lock:
            if self._journal is not None:
                self._journal.close()

    def stats(self) -> Stats:
        """The counters as of one moment."""
        with self._lock:
            left = self._left()
            return Stats(accepted=self._accepted, **self._counts, left=left, pending=self._waiting() - left)

    def _keep(self, line: bytes) -> bool:
        """In the journal if it can be written, else in memory if there is room."""
        if self._journal is not None:
            try:
                self._journal.append(line)
            except OSError as error:
                self._counts["journal_failures"] += 1
                self.journal_fault = error.strerror
            else:
                self._journaled += 1
                return True
        size = len(line)  # not within the sum below, where a signal handler that puts a line too could run
        if len(self._lines) >= self._max_records or self._bytes + size > self._max_bytes:
            return False
        self._lines.append(line)
        self._bytes += size
        return True

    def _waiting(self) -> int:
        return len(self._lines) + self._journaled

    def _left(self) -> int:
        if not self._given_up:
            return 0
        return self._journaled - (len(self._batch) if self._is_batch_journaled else 0)

    def _answered(self) -> int:
        counts = self._counts
        return counts["stored"] + counts["duplicates"] + counts["rejected"] - counts["recovered"]

    def _wait_for_lines(self, count: int, timeout: float) -> None:
        self._wake_at = count
        self._work.wait_for(
            lambda: self._waiting() >= count or self._closed or (self._waiters and self._waiting()), timeout
        )
        self._wake_at = _NEVER

    def _wait_for_answers(self, arrived: Callable[[], bool], timeout: float) -> None:
        self._waiters += 1
        self._work.notify_all()
        try:
            self._answer.wait_for(arrived, min(timeout, threading.TIMEOUT_MAX))
        finally:
            self._waiters -= 1

    def _first_batch(self) -> list[bytes]:
        return within(self._settings.batch_bytes, list(islice(self._lines, self._settings.batch_records)))

    def _give_up(self) -> None:
        self._given_up = True
        under_way = 0 if self._is_batch_journaled else len(self._batch)
        while len(self._lines) > under_way:
            self._bytes -= len(self._lines.pop())
            self._counts["lost"] += 1
        self._work.notify_all()
        self._answer.notify_all()
