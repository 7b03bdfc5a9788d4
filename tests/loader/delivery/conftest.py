"""What the tests of the store share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chat_telemetry._delivery.journal import Journal
from chat_telemetry._delivery.queue import LineQueue
from chat_telemetry._delivery.store import Store
from chat_telemetry._encoding import encode
from chat_telemetry._record import TelemetryRecord
from chat_telemetry._settings import Settings
from tests.loader.conftest import Log


@pytest.fixture
def store(log: Log) -> Iterator[Store]:
    store = Store(log.conninfo)
    yield store
    store.close()


def lines(*records: TelemetryRecord) -> list[bytes]:
    return [encode(record) for record in records]


def raw(record: TelemetryRecord) -> bytes:
    """The line of a record without any repair, like one of a journal that was written to."""
    return msgspec.json.encode(record)


@pytest.fixture(params=[0, 2], ids=["read from disk", "with copies"])
def copied_segments(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many segments of a journal keep copies of their lines in memory."""
    monkeypatch.setattr("chat_telemetry._delivery.journal.COPIED_SEGMENTS", request.param)


def queue(directory: Path, **settings: Any) -> LineQueue:
    return LineQueue(Settings(**{"max_batch_age": 0.001, **settings}), Journal(directory))


def on_disk(directory: Path) -> list[bytes]:
    return [line for path in sorted(directory.iterdir()) for line in path.read_bytes().splitlines()]


def acknowledge_all(lines: LineQueue) -> list[bytes]:
    acknowledged: list[bytes] = []
    while lines.stats().pending:
        batch = lines.take() or []
        acknowledged += batch
        lines.acknowledge(stored=len(batch), duplicates=0, rejected=0)
    return acknowledged


@contextmanager
def limited(store: Store, seconds: float) -> Iterator[None]:
    """A short limit for the batch that nobody answers. The others have as long as they need."""
    with pytest.MonkeyPatch.context() as limits:
        limits.setattr(store, "_batch_timeout", seconds)
        yield
