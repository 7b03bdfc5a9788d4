"""The bounded queue between the threads that persist records and the one that delivers them.

It holds encoded lines, nothing else, and keeps the counters: under its one lock they always add up.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from chat_telemetry.settings import Settings

# After so long without a line the delivery thread is told, so that it can hand back its connection.
IDLE_S = 60.0
# While somebody waits in flush or close, a failing database is tried again so soon, whatever the backoff says.
URGENT_PAUSE_S = 0.2

_NEVER = 2**63


@dataclass(frozen=True)
class Stats:
    """Counters of one client in this process, from its first record on.

    accepted = stored + duplicates + rejected + lost + pending; dropped and invalid ones were never accepted.
    """

    accepted: int = 0
    stored: int = 0
    duplicates: int = 0
    """In the table already, for example because the answer to a first try was lost with its connection."""
    rejected: int = 0
    """Refused by the database for good: a user that does not exist, a number too large for its column."""
    lost: int = 0
    """Given up by a close, or an exit, that ran out of time."""
    pending: int = 0
    """In the queue or under way."""
    dropped: int = 0
    """Turned away: the queue was full, the client closed, or no database configured."""
    invalid: int = 0
    """Turned away: no record, or one that cannot be encoded."""


class LineQueue:
    """Lines wait here until the database has answered for them; a batch under way still counts as waiting.

    Any thread may put, flush, close and ask for stats; one thread takes, settles and pauses. The lock can be entered
    again by its holder, so that a signal handler or a finalizer may persist a record too.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._max_records = settings.max_queue_records
        self._max_bytes = settings.max_queue_bytes
        self._closed = False
        self.reset()

    def reset(self) -> None:
        """Start anew: in a forked child, where the lines belong to the parent and the lock may be held for ever."""
        self._lock = threading.RLock()
        self._work = threading.Condition(self._lock)
        self._answer = threading.Condition(self._lock)
        self._lines: deque[bytes] = deque()
        self._bytes = self._under_way = self._waiters = 0
        self._wake_at = _NEVER
        self._given_up = False
        self._accepted = self._stored = self._duplicates = self._rejected = 0
        self._lost = self._dropped = self._invalid = 0

    @property
    def closed(self) -> bool:
        """Whether lines are turned away because nobody will come for them."""
        return self._closed

    def put(self, line: bytes) -> bool:
        """Add a line, unless the queue is full or closed; say whether it was added."""
        size = len(line)
        with self._lock:
            count = len(self._lines) + 1
            if self._closed or count > self._max_records or self._bytes + size > self._max_bytes:
                self._dropped += 1
                return False
            self._lines.append(line)
            self._bytes += size
            self._accepted += 1
            # A thread that is awake, or that waits for a full batch, needs no waking: waking costs more than the rest.
            if count >= self._wake_at:
                self._wake_at = _NEVER
                self._work.notify()
        return True

    def count_invalid(self) -> None:
        """Count a record of which no line could be made."""
        with self._lock:
            self._invalid += 1

    def take(self) -> list[bytes] | None:
        """Wait for a batch and return it: an empty one after an idle minute, None once the queue is closed and empty.

        The lines stay in the queue until they are settled; what was not is returned again.
        """
        with self._lock:
            self._wait_for_lines(1, IDLE_S)
            if self._lines:
                self._wait_for_lines(self._settings.batch_records, self._settings.max_batch_age)
            elif self._closed:
                return None
            batch = self._first_batch()
            self._under_way = len(batch)
            return batch

    def settle(self, *, stored: int, duplicates: int, rejected: int) -> None:
        """Let go of the first lines of the queue: the database has answered for so many."""
        with self._lock:
            for _ in range(stored + duplicates + rejected):
                self._bytes -= len(self._lines.popleft())
            self._stored += stored
            self._duplicates += duplicates
            self._rejected += rejected
            self._under_way = 0
            self._answer.notify_all()

    def pause(self, seconds: float) -> None:
        """After a failure: wait before the next try, but not for long while somebody waits for its outcome."""
        with self._lock:
            self._under_way = 0
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
            self._wait_for_answers(lambda: self._answered() + self._lost >= target, timeout)
            return self._answered() >= target

    def seal(self) -> None:
        """Accept no more; what was accepted is still delivered."""
        with self._lock:
            self._closed = True
            self._work.notify_all()

    def close(self, timeout: float) -> bool:
        """Accept no more, wait up to `timeout` seconds for the rest, then give up what is not under way.

        False if some of it was given up or is under way still.
        """
        with self._lock:
            self._closed = True
            self._wait_for_answers(lambda: not self._lines, timeout)
            self._give_up()
            return not self._lines and not self._lost

    def stats(self) -> Stats:
        """The counters as of one moment."""
        with self._lock:
            return Stats(
                accepted=self._accepted,
                stored=self._stored,
                duplicates=self._duplicates,
                rejected=self._rejected,
                lost=self._lost,
                pending=len(self._lines),
                dropped=self._dropped,
                invalid=self._invalid,
            )

    def _answered(self) -> int:
        return self._stored + self._duplicates + self._rejected

    def _wait_for_lines(self, count: int, timeout: float) -> None:
        self._wake_at = count
        self._work.wait_for(
            lambda: len(self._lines) >= count or self._closed or (self._waiters and self._lines), timeout
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
        batch: list[bytes] = []
        size = 0
        for line in islice(self._lines, self._settings.batch_records):
            size += len(line)
            if batch and size > self._settings.batch_bytes:
                break
            batch.append(line)
        return batch

    def _give_up(self) -> None:
        self._given_up = True
        while len(self._lines) > self._under_way:
            self._bytes -= len(self._lines.pop())
            self._lost += 1
        self._work.notify_all()
        self._answer.notify_all()
