"""What the tests of the store share."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from chat_telemetry._delivery.store import Store
from chat_telemetry._encoding import encode
from chat_telemetry._record import TelemetryRecord
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
