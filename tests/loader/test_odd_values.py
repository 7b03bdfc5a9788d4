"""Values that no chat request has are replaced by null or the present, counted and logged. The others stay."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from chat_telemetry import Stats, TelemetryClient, TelemetryRecord
from chat_telemetry._odd_values import may_be_odd, odd_values, repair
from chat_telemetry._record import COLUMNS
from tests.conftest import Database
from tests.loader.conftest import record

NUMBERS = [column for column in COLUMNS if column.endswith(("_ms", "_tokens", "_count"))]
NOW = datetime.now(UTC)


@pytest.mark.parametrize("column", NUMBERS)
@pytest.mark.parametrize("value", [-1, -(2**31), -0.5, Decimal(-3)])
def test_a_negative_number_becomes_none(column: str, value: object) -> None:
    odd = record(**{column: value})
    assert may_be_odd(odd)
    repaired = repair(odd)
    assert repaired is not None
    assert getattr(repaired, column) is None
    assert repaired.log_id == odd.log_id
    assert repaired.created_at == odd.created_at


@pytest.mark.parametrize(
    "created_at",
    [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(1999, 12, 31, 23, 59, tzinfo=UTC),
        datetime(1970, 1, 1),
        "1999-12-31T23:59:59Z",
        datetime(9999, 12, 31, tzinfo=timezone(timedelta(hours=-5))),
        NOW + timedelta(days=1, hours=1),
    ],
)
def test_an_impossible_time_becomes_the_present(created_at: object) -> None:
    odd = record(created_at=created_at)
    assert may_be_odd(odd)
    repaired = repair(odd)
    assert repaired is not None
    assert abs(repaired.created_at - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    "columns",
    [
        {},
        dict.fromkeys(NUMBERS, 0),
        {"created_at": datetime(2000, 1, 1, tzinfo=UTC)},
        {"created_at": NOW + timedelta(hours=23)},
        {"created_at": NOW.replace(tzinfo=None)},
        {"created_at": NOW.isoformat()},
        {"sql_input_tokens": 3, "sql_cached_tokens": 7_917},
        {"ttfb_ms": "-1"},
        {"user_question": "How many, -5?"},
    ],
)
def test_other_values_stay_unchanged(columns: dict[str, object]) -> None:
    assert odd_values(record(**columns)) == {}
    assert repair(record(**columns)) is None


def test_the_fast_check_finds_nothing_in_an_ordinary_record() -> None:
    assert not may_be_odd(record(ttfb_ms=5, sql_input_tokens=10))


def test_an_odd_record_is_repaired_counted_and_logged(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    (user,) = database.add_users()
    with caplog.at_level(logging.WARNING), TelemetryClient(database.conninfo) as client:
        odd = TelemetryRecord(
            user_id=user,
            user_question="x" * 200_000,
            created_at=datetime(1, 1, 1, tzinfo=UTC),
            ttfb_ms=-1,
            sql_output_tokens=7,
        )
        assert client.persist(odd)
        assert client.flush()
        assert client.stats() == Stats(accepted=1, stored=1, repaired=1, truncated=1)
    assert odd.ttfb_ms == -1
    with database.connect() as connection:
        rows = connection.execute(
            "select created_at > now() - interval '1 minute', ttfb_ms, sql_output_tokens from public.chat_telemetry_log"
        ).fetchall()
    assert rows == [(True, None, 7)]
    assert "negative number or an impossible time" in caplog.text
