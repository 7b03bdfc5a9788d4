"""The client that chat code holds: it encodes a record and queues the line. A thread delivers it."""

from __future__ import annotations

import copy
import os
import weakref
from collections.abc import Callable

from chat_telemetry._database_url import normalized
from chat_telemetry._delivery.store import Store
from chat_telemetry._delivery.thread import DeliveryThread
from chat_telemetry._encoding import Encoder
from chat_telemetry._errors import InvalidRecord
from chat_telemetry._record import TelemetryRecord
from chat_telemetry._settings import DATABASE_URL, Settings, database_url
from chat_telemetry._stats import Stats

Redact = Callable[[TelemetryRecord], TelemetryRecord | None]
"""Gets a copy of each record and returns the record to store, or None. If it raises, nothing is stored."""


class TelemetryClient:
    """Sends records to one database, from any thread, in the background.

    A client that is closed or garbage-collected accepts no further records and delivers the accepted ones. So does the
    exit of the interpreter, for at most `exit_timeout` seconds. After a fork the client in the child is empty.
    """

    def __init__(
        self,
        dsn: object = None,
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
        batch_timeout: float = Settings.batch_timeout,
        exit_timeout: float = Settings.exit_timeout,
        max_text_chars: int = Settings.max_text_chars,
        max_name_chars: int = Settings.max_name_chars,
    ) -> None:
        """`dsn` is a libpq connection string or URL, or an object that holds one: a SecretStr, a PostgresDsn, a URL of
        SQLAlchemy; by default CHAT_TELEMETRY_DATABASE_URL. Without both, records are dropped. The delivery thread uses
        it first, so that a wrong string raises nothing here. docs/loader.md explains the settings.

        Raises ValueError if a number is not above zero, and TypeError if `dsn` is of another type.
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
            batch_timeout=batch_timeout,
            exit_timeout=exit_timeout,
            max_text_chars=max_text_chars,
            max_name_chars=max_name_chars,
        )
        self.redact = redact
        """For records persisted from now on."""
        self._enabled = enabled
        self._encoder = Encoder(max_text_chars, max_name_chars)
        self._encode_plain = self._encoder.encode_plain
        conninfo = database_url() if dsn is None else normalized(dsn)
        self._has_database = conninfo is not None
        store = Store(conninfo or "", connect_timeout=connect_timeout, batch_timeout=batch_timeout)
        self._delivery = DeliveryThread(store, settings)
        self._queue = self._delivery.queue
        if not self._has_database:
            self._queue.stop_accepting()
        weakref.finalize(self, self._queue.stop_accepting)

    def persist(self, record: TelemetryRecord) -> bool:
        """Queue a record. Returns whether it was accepted. Never raises, whatever `record` is.

        Never waits for the database. With a journal it waits for one write to the disk.
        """
        try:
            if not self._enabled:
                self._queue.count(dropped=1)
                return False
            if self.redact is not None:
                redacted = self._redacted(record)
                if redacted is None:
                    self._queue.count(redacted=1)
                    return False
                record = redacted
            line = self._encode_plain(record) or self._encode_repaired(record)
            if self._queue.put(line):
                if not self._delivery.running:
                    self._delivery.start()
                return True
            self._warn_of_drop()
        except Exception as error:
            self._reject_invalid(error)
        return False

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait at most `timeout` seconds until everything accepted so far is stored or permanently rejected.

        Returns False if some of these records are pending, were discarded, or were left in the journal.
        """
        return self._delivery.flush(timeout)

    def close(self, timeout: float = 10.0) -> bool:
        """Stop accepting records, and deliver the accepted ones in at most `timeout` seconds.

        Returns False if the time was too short. Then records in the journal are left for another process, and records
        in memory are discarded.
        """
        return self._delivery.close(timeout)

    def stats(self) -> Stats:
        """Counts of what happened to the records so far, in this process."""
        return self._queue.stats()

    def __enter__(self) -> TelemetryClient:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _redacted(self, record: TelemetryRecord) -> TelemetryRecord | None:
        """The hook gets a copy, so that it may change the record in place and the application keeps its own."""
        try:
            return self.redact(copy.copy(record)) if self.redact else record
        except Exception as error:
            # The message of the exception may quote what the hook was to hide.
            self._warn("the redact hook raised %s: such records are not stored", type(error).__name__)
            return None

    def _encode_repaired(self, record: TelemetryRecord) -> bytes:
        line, repaired, cut = self._encoder.encode_repaired(record)
        if repaired:
            self._queue.count(repaired=1)
            self._warn("odd values were replaced, see `repaired` in stats(): %s", ", ".join(repaired))
        if cut:
            self._queue.count(truncated=1)
            self._warn("texts are too long and were cut, see `truncated` in stats(): %s", ", ".join(cut))
        return line

    def _warn(self, message: str, *args: object) -> None:
        self._delivery.limited_logger.warn(message, *args)  # a fork replaces the logger

    def _warn_of_drop(self) -> None:
        if not self._has_database:
            self._warn("no database is configured, so records are dropped: set %s", DATABASE_URL)
        elif self._queue.closed:
            self._warn("the client is closed: records are dropped")
        else:
            self._warn("the queue is full, so records are dropped: see `dropped` in stats()")

    def _reject_invalid(self, error: Exception) -> None:
        self._queue.count(invalid=1)
        reason = str(error) if isinstance(error, InvalidRecord) else type(error).__name__
        self._delivery.limited_logger.warn("a record is invalid: %s", reason, reason=reason)
