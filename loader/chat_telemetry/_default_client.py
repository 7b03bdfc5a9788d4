"""The default client: created at the first record, from the CHAT_TELEMETRY_* environment variables."""

from __future__ import annotations

import threading
from dataclasses import asdict

from chat_telemetry._client import Redact, TelemetryClient
from chat_telemetry._forks import call_in_child
from chat_telemetry._record import TelemetryRecord
from chat_telemetry._settings import from_environment
from chat_telemetry._stats import Stats


class _Default:
    """Holds the client. Two threads that persist the first record at the same time create one client."""

    def __init__(self) -> None:
        self.client: TelemetryClient | None = None
        self._redact: Redact | None = None
        self.reset_lock()

    def reset_lock(self) -> None:
        self._lock = threading.RLock()

    def get(self) -> TelemetryClient:
        with self._lock:
            if self.client is None:
                self.client = TelemetryClient(redact=self._redact, **asdict(from_environment()))
            return self.client

    def set_redact(self, redact: Redact | None) -> None:
        with self._lock:
            self._redact = redact
            if self.client is not None:
                self.client.redact = redact


_default = _Default()
call_in_child(_default.reset_lock)


def configure(*, redact: Redact | None) -> None:
    """Set the redact hook of the default client, for records persisted from now on.

    `redact` gets a copy of each record and returns the record to store, or None. If it raises, nothing is stored.
    """
    _default.set_redact(redact)


def persist_telemetry(record: TelemetryRecord) -> bool:
    """Queue a record for the database in CHAT_TELEMETRY_DATABASE_URL. Returns whether it was accepted.

    Takes microseconds and never raises, whatever the state of the database, the disk or the record. It never waits for
    the database. With a journal it waits for one write to the disk.
    """
    return (_default.client or _default.get()).persist(record)


def flush(timeout: float = 10.0) -> bool:
    """`TelemetryClient.flush` of the default client."""
    return _default.get().flush(timeout)


def close(timeout: float = 10.0) -> bool:
    """`TelemetryClient.close` of the default client; records persisted later are dropped."""
    return _default.get().close(timeout)


def stats() -> Stats:
    """`TelemetryClient.stats` of the default client."""
    return _default.get().stats()
