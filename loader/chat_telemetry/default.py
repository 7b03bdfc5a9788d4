"""The default client: made at the first record, from the CHAT_TELEMETRY_* variables that `settings` explains."""

from __future__ import annotations

import os
import threading
from dataclasses import asdict

from chat_telemetry.client import TelemetryClient
from chat_telemetry.line_queue import Stats
from chat_telemetry.record import TelemetryRecord
from chat_telemetry.settings import from_environment


class _Default:
    """Holds the client, so that two threads with the first record make one."""

    def __init__(self) -> None:
        self.client: TelemetryClient | None = None
        self.reset_lock()

    def reset_lock(self) -> None:
        self._lock = threading.RLock()

    def get(self) -> TelemetryClient:
        with self._lock:
            if self.client is None:
                self.client = TelemetryClient(**asdict(from_environment()))
            return self.client


_default = _Default()
os.register_at_fork(after_in_child=_default.reset_lock)


def persist_telemetry(record: TelemetryRecord) -> bool:
    """Queue a record for the database in CHAT_TELEMETRY_DATABASE_URL and say whether it was accepted.

    Returns in microseconds; never blocks, never raises, whatever the state of the database or of the record.
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
