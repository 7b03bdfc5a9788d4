"""The client that chat code holds: it encodes a record, queues the line, and leaves the rest to its delivery thread."""

from __future__ import annotations

import weakref

from chat_telemetry.delivery import Delivery
from chat_telemetry.errors import InvalidRecord
from chat_telemetry.line_queue import Stats
from chat_telemetry.record import TelemetryRecord, encode
from chat_telemetry.settings import DATABASE_URL, Settings, database_url
from chat_telemetry.store import Store


class TelemetryClient:
    """Sends records to one database, from any thread, in the background.

    A client that is closed, or left to the garbage collector, accepts no more but delivers what it has; so does the
    exit of the interpreter, for `exit_timeout` seconds. After a fork the child's client starts empty.
    """

    def __init__(
        self,
        dsn: str | None = None,
        *,
        max_queue_records: int = Settings.max_queue_records,
        max_queue_bytes: int = Settings.max_queue_bytes,
        batch_records: int = Settings.batch_records,
        batch_bytes: int = Settings.batch_bytes,
        max_batch_age: float = Settings.max_batch_age,
        connect_timeout: float = Settings.connect_timeout,
        exit_timeout: float = Settings.exit_timeout,
    ) -> None:
        """`dsn` is a libpq connection string or URL, CHAT_TELEMETRY_DATABASE_URL by default; without either, records
        are dropped. It is first used by the delivery thread, so a wrong one raises nothing here. Settings are
        explained in `chat_telemetry.settings.Settings`; ValueError for one that is not above zero.
        """
        settings = Settings(
            max_queue_records=max_queue_records,
            max_queue_bytes=max_queue_bytes,
            batch_records=batch_records,
            batch_bytes=batch_bytes,
            max_batch_age=max_batch_age,
            connect_timeout=connect_timeout,
            exit_timeout=exit_timeout,
        )
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
            if self._queue.put(encode(record)):
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
        """Accept no more, deliver the rest in at most `timeout` seconds, give up what is left: then False."""
        return self._delivery.close(timeout)

    def stats(self) -> Stats:
        """What became of the records so far, in this process."""
        return self._queue.stats()

    def __enter__(self) -> TelemetryClient:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _warn_of_drop(self) -> None:
        if not self._has_database:
            self._delivery.log.warn("no database: records are dropped; set %s", DATABASE_URL)
        elif self._queue.closed:
            self._delivery.log.warn("the client is closed: records are dropped")
        else:
            self._delivery.log.warn("the queue is full: records are dropped; see stats() for how many")

    def _turn_away(self, error: Exception) -> None:
        self._queue.count_invalid()
        known = isinstance(error, InvalidRecord)
        self._delivery.log.warn("a record is invalid: %s", error if known else type(error).__name__)
