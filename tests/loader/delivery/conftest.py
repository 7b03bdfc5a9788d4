"""What the tests of the store share."""

from __future__ import annotations

from collections.abc import Iterator

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
