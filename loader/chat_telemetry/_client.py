"""The client that chat code holds: it encodes a record, queues the line, and leaves the rest to its delivery thread."""

from __future__ import annotations

import copy
import os
import weakref
from collections.abc import Callable

from chat_telemetry._delivery.store import Store
from chat_telemetry._delivery.thread import Delivery
from chat_telemetry._errors import InvalidRecord
from chat_telemetry._limits import has_long_name, shorten
from chat_telemetry._odd_values import may_be_odd, repair
from chat_telemetry._record import TelemetryRecord, encode
from chat_telemetry._settings import DATABASE_URL, Settings, database_url
from chat_telemetry._stats import Stats

Redact = Callable[[TelemetryRecord], TelemetryRecord | None]
"""Gets a copy of each record and returns what may be kept of it, or None for nothing; if it raises: nothing."""


class TelemetryClient:
    """Sends records to one database, from any thread, in the background.

    A client that is closed, or left to the garbage collector, accepts no more but delivers what it has; so does the
    exit of the interpreter, for `exit_timeout` seconds. After a fork the child's client starts empty.
    """

    def __init__(
        self,
        dsn: str | None = None,
        *,
        redact: Redact | None = None,
        enabled: bool = Settings.enabled,
        journal_dir: str | os.PathLike[str] | None = Settings.journal_dir,
        max_queue_records: int = Settings.max_queue_records,
        max_queue_bytes: int = Settings.max_queue_bytes,
        batch_records: int = Settings.batch_records,
        batch_bytes: int = Settings.batch_bytes,
        max_batch_age: float = Settings.max_batch_age,
        connect_timeout: float = Settings.connect_timeout,
        exit_timeout: float = Settings.exit_timeout,
        max_text_chars: int = Settings.max_text_chars,
        max_name_chars: int = Settings.max_name_chars,
    ) -> None:
        """`dsn` is a libpq connection string or URL, CHAT_TELEMETRY_DATABASE_URL by default; without either, records
        are dropped. It is first used by the delivery thread, so a wrong one raises nothing here. Settings are
        explained in `Settings`; ValueError for one that is not above zero.
        """
        settings = Settings(
            enabled=enabled,
            journal_dir=journal_dir,
            max_queue_records=max_queue_records,
            max_queue_bytes=max_queue_bytes,
            batch_records=batch_records,
            batch_bytes=batch_bytes,
            max_batch_age=max_batch_age,
            connect_timeout=connect_timeout,
            exit_timeout=exit_timeout,
            max_text_chars=max_text_chars,
            max_name_chars=max_name_chars,
        )
        self.redact = redact
        """For records persisted from now on."""
        self._enabled = enabled
        self._max_text_chars = max_text_chars
        self._max_name_chars = max_name_chars
        conninfo = database_url() if dsn is None else dsn
        self._has_database = conninfo is not None
        self._delivery = Delivery(Store(conninfo or "", connect_timeout=connect_timeout), settings)
        self._queue = self._delivery.queue
        if not self._has_database:
            self._queue.seal()
        weakref.finalize(self, self._queue.seal)

    def persist(self, record: TelemetryRecord) -> bool:
        """Queue a record and say whether it was accepted. Never blocks, never raises, whatever the record."""
        try:
            if not self._enabled:
                self._queue.count(dropped=1)
                return False
            if self.redact is not None:
                redacted = self._redacted(record)
                if redacted is None:
                    self._queue.count(withheld=1)
                    return False
                record = redacted
            line = encode(record)
            if may_be_odd(record):
                repaired = repair(record)
                if repaired is not None:
                    record, line = repaired, encode(repaired)
                    self._queue.count(repaired=1)
                    self._delivery.log.warn("a record has a negative number or an impossible time: stored without it")
            # No text is longer than the line that it is in.
            if len(line) > self._max_text_chars or has_long_name(record, self._max_name_chars):
                line = self._shortened(record) or line
            if self._queue.put(line):
                if not self._delivery.running:
                    self._delivery.start()
                return True
            self._warn_of_drop()
        except Exception as error:
            self._turn_away(error)
        return False

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait, at most `timeout` seconds, until everything accepted so far is stored or refused for good.

        False if some of it is still pending, which goes on in the background, or was given up by a close.
        """
        return self._queue.flush(timeout)

    def close(self, timeout: float = 10.0) -> bool:
        """Accept no more and deliver the rest in at most `timeout` seconds.

        False if there was not time enough: what is in the journal is left for another process, the rest is given up.
        """
        return self._delivery.close(timeout)

    def stats(self) -> Stats:
        """What became of the records so far, in this process."""
        return self._queue.stats()

    def __enter__(self) -> TelemetryClient:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _redacted(self, record: TelemetryRecord) -> TelemetryRecord | None:
        """By a copy, so that a hook may change the record in place and leaves the application its own."""
        try:
            return self.redact(copy.copy(record)) if self.redact else record
        except Exception as error:
            # Its message may quote what was to be hidden.
            self._delivery.log.warn("the redact hook raises %s: records are withheld", type(error).__name__)
            return None

    def _shortened(self, record: TelemetryRecord) -> bytes | None:
        """The line of a record with its texts cut; None if none is too long, after all."""
        shortened = shorten(record, self._max_text_chars, self._max_name_chars)
        if shortened is None:
            return None
        line = encode(shortened)
        self._queue.count(truncated=1)
        self._delivery.log.warn("a text is too long and was cut; see stats() for how often")
        return line

    def _warn_of_drop(self) -> None:
        if not self._has_database:
            self._delivery.log.warn("no database: records are dropped; set %s", DATABASE_URL)
        elif self._queue.closed:
            self._delivery.log.warn("the client is closed: records are dropped")
        else:
            self._delivery.log.warn("the queue is full: records are dropped; see stats() for how many")

    def _turn_away(self, error: Exception) -> None:
        self._queue.count(invalid=1)
        known = isinstance(error, InvalidRecord)
        self._delivery.log.warn("a record is invalid: %s", error if known else type(error).__name__)
