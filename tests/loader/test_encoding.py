"""Which values of a record are sent, repaired, cut or refused."""

from __future__ import annotations

import enum
import itertools
import json
import logging
import math
import tracemalloc
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import uuid_utils
from hypothesis import given, settings
from hypothesis import strategies as st

from chat_telemetry import ANONYMOUS_USER, Stats, TelemetryClient, TelemetryRecord
from chat_telemetry._encoding import NO_QUESTION, NO_USER, Encoder, encode, odd_values
from chat_telemetry._errors import InvalidRecord
from chat_telemetry._record import COLUMNS, INTEGERS, LONG_TEXTS, NAMES
from tests.conftest import Database
from tests.loader.conftest import USER, Log, record

ENCODER = Encoder(max_text_chars=20, max_name_chars=5)
NOW = datetime.now(UTC)


def sent(of: TelemetryRecord, encoder: Encoder = ENCODER) -> tuple[dict[str, Any], list[str], list[str]]:
    """The values by column, and the columns that were repaired, and those that were cut."""
    plain = encoder.encode_plain(of)
    line, repaired, cut = (plain, [], []) if plain is not None else encoder.encode_repaired(of)
    return dict(zip(COLUMNS, json.loads(line), strict=True)), repaired, cut


def test_a_plain_record_needs_no_repair() -> None:
    plain = record(
        conversation_id=USER, ai_response="x" * 20, sql_model="x" * 5, ttfb_ms=812.5, follow_up_suggestions=["x" * 5]
    )
    line = ENCODER.encode_plain(plain)
    assert line is not None
    assert (line, [], []) == ENCODER.encode_repaired(plain)


class NA:
    """Like pandas.NA, which tests/integrations has."""


NA.__name__ = "NAType"


class Flag:
    """Like numpy.bool_."""

    def __bool__(self) -> bool:
        return True


Flag.__name__ = "bool_"


class Hostile:
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("contents")


HOSTILE = "an object that raises"  # pytest looks at parameters, which this object does not stand


def made(value: object) -> object:
    return Hostile() if value is HOSTILE else value


class Count(int):
    """An integer that is not exactly an `int`, like those of numpy."""


class Model(enum.Enum):
    MINI = "mini"


@pytest.mark.parametrize("column", INTEGERS)
@pytest.mark.parametrize(
    ("value", "expected", "is_repaired"),
    [
        (0, 0, False),
        (2**31 - 1, 2**31 - 1, False),
        (12.5, 12.5, False),
        (Decimal("12.4"), 12.4, False),
        (Fraction(25, 2), 12.5, False),
        (Count(7), 7, False),
        ("12", 12.0, False),
        (math.nan, None, False),
        (NA(), None, False),
        (-1, None, True),
        (-0.5, None, True),
        (Decimal(-3), None, True),
        (2**31, None, True),
        (math.inf, None, True),
        (True, None, True),
        (Flag(), None, True),
        ("12 ms", None, True),
        ([5], None, True),
        (HOSTILE, None, True),
    ],
)
def test_a_number_is_sent_or_becomes_null(column: str, value: object, expected: object, is_repaired: bool) -> None:
    values, repaired, cut = sent(record(**{column: made(value)}))
    assert (values[column], repaired, cut) == (expected, [column] if is_repaired else [], [])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (datetime(2000, 1, 1, tzinfo=UTC), datetime(2000, 1, 1, tzinfo=UTC)),
        (datetime(2026, 3, 1, 12), datetime(2026, 3, 1, 12, tzinfo=UTC)),
        (date(2026, 3, 1), datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-03-01T12:00:00+02:00", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        (1_772_366_400, datetime(2026, 3, 1, 12, tzinfo=UTC)),
        (1_772_366_400.5, datetime(2026, 3, 1, 12, 0, 0, 500_000, tzinfo=UTC)),
        (NOW + timedelta(hours=23), NOW + timedelta(hours=23)),
    ],
)
def test_a_time_is_sent(value: object, expected: datetime) -> None:
    values, repaired, _ = sent(record(created_at=made(value)))
    assert (datetime.fromisoformat(values["created_at"]), repaired) == (expected, [])


@pytest.mark.parametrize(
    "value",
    [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(1999, 12, 31, 23, 59, tzinfo=UTC),
        datetime(1970, 1, 1),
        "1999-12-31T23:59:59Z",
        datetime(9999, 12, 31, tzinfo=timezone(timedelta(hours=-5))),
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5))),
        NOW + timedelta(days=2),
        "yesterday",
        0,
        1e300,
        True,
        [],
        HOSTILE,
    ],
)
def test_an_impossible_time_becomes_the_present(value: object) -> None:
    values, repaired, _ = sent(record(created_at=made(value)))
    assert abs(datetime.fromisoformat(values["created_at"]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert repaired == ["created_at"]


def test_a_missing_time_is_the_present() -> None:
    values, repaired, _ = sent(record(created_at=None))
    assert abs(datetime.fromisoformat(values["created_at"]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert repaired == []


@pytest.mark.parametrize("column", LONG_TEXTS + NAMES)
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"abc", "abc"),
        (b"a\xff", "a\ufffd"),
        (bytearray(b"abc"), "abc"),
        (7, "7"),
        (Decimal("1.5"), "1.5"),
        (Model.MINI, "mini"),
        (ValueError("no"), "no"),
        (["a"], '["a"]'),
        ({"a": 1}, '{"a"…'),
        ("a\ud800", "a\ufffd"),
    ],
)
def test_a_text_of_another_type_is_sent(column: str, value: object, expected: str) -> None:
    values, repaired, _ = sent(record(**{column: made(value)}), Encoder(5, 5))
    assert (values[column], repaired) == (expected, [])


@pytest.mark.parametrize("column", [*LONG_TEXTS, *NAMES])
@pytest.mark.parametrize("value", [object(), HOSTILE, {"a": object()}])
def test_what_is_no_text_becomes_null_and_a_question_is_refused(column: str, value: object) -> None:
    odd = record(**{column: made(value)})
    if column == "user_question":
        with pytest.raises(InvalidRecord, match=NO_QUESTION):
            encode(odd)
    else:
        values, repaired, _ = sent(odd)
        assert (values[column], repaired) == (None, [column])


@pytest.mark.parametrize(
    ("value", "expected", "is_repaired"),
    [
        (None, False, False),
        (NA(), False, False),
        (1, True, False),
        (Flag(), True, False),
        (1.0, True, False),
        (Decimal(0), False, False),
        ("yes", True, False),
        ("False", False, False),
        ("maybe", False, True),
        (7, False, True),
        ([], False, True),
    ],
)
def test_a_flag_is_sent_or_false(value: object, expected: bool, is_repaired: bool) -> None:
    values, repaired, _ = sent(record(is_off_topic=value))
    assert (values["is_off_topic"], repaired) == (expected, ["is_off_topic"] if is_repaired else [])


@pytest.mark.parametrize(
    ("value", "expected", "is_repaired"),
    [
        ("one", ["one"], False),
        (("a", b"b", None, 3), ["a", "b", "3"], False),
        ({"only"}, ["only"], False),
        ((text for text in "ab"), ["a", "b"], False),
        ({"a": "b"}, None, True),
        ([object()], None, True),
        (7, None, True),
    ],
)
def test_suggestions_are_sent_as_a_list_of_texts(value: object, expected: object, is_repaired: bool) -> None:
    values, repaired, _ = sent(record(follow_up_suggestions=value))
    assert (values["follow_up_suggestions"], repaired) == (expected, ["follow_up_suggestions"] if is_repaired else [])


@pytest.mark.parametrize("value", [str(USER), uuid_utils.UUID(str(USER)), USER.bytes, f"{{{USER}}}"])
def test_a_uuid_of_another_type_is_sent(value: object) -> None:
    values, repaired, _ = sent(record(log_id=value, user_id=value, conversation_id=value))
    assert {UUID(values[column]) for column in ("log_id", "user_id", "conversation_id")} == {USER}
    assert repaired == []


@pytest.mark.parametrize(
    "value", [None, 42, "auth0|65f1", "", b"x", "6f0f6a3e_3f7b5a0e9d2e0c7d8a4b1f00", 4.2, NA(), object(), HOSTILE]
)
def test_a_user_id_that_is_no_uuid_is_refused_with_advice(value: object) -> None:
    with pytest.raises(InvalidRecord, match="user_id must be a UUID") as refusal:
        encode(record(user_id=made(value)))
    assert str(refusal.value) == NO_USER
    assert {"chat_telemetry.user_key(…)", "chat_telemetry.ANONYMOUS_USER"} <= {*NO_USER.replace(",", "").split()}


def test_other_keys_that_are_no_uuid_are_replaced() -> None:
    values, repaired, _ = sent(record(log_id=7, conversation_id="thread_1"))
    assert UUID(values["log_id"]).version == 7
    assert values["conversation_id"] is None
    assert repaired == ["log_id", "conversation_id"]


@pytest.mark.parametrize("column", LONG_TEXTS + NAMES)
def test_a_text_longer_than_its_limit_is_cut_and_ends_with_a_mark(column: str) -> None:
    limit = 20 if column in LONG_TEXTS else 5
    assert sent(record(**{column: "x" * limit}))[2] == []
    long = record(**{column: "x" * (limit + 1)})
    values, repaired, cut = sent(long)
    assert values[column] == "x" * (limit - 1) + "…"
    assert (repaired, cut) == ([], [column])
    assert getattr(long, column) == "x" * (limit + 1), "the record of the application stays unchanged"


def test_bytes_are_cut_like_the_text_that_they_hold() -> None:
    assert sent(record(ai_response=("ä" * 21).encode()))[0]["ai_response"] == "ä" * 19 + "…"
    assert sent(record(ai_response=b"x" * 1000))[0]["ai_response"] == "x" * 19 + "…"


def test_suggestions_are_cut_in_length_and_number() -> None:
    values, _, cut = sent(record(follow_up_suggestions=["x" * 9] + ["y"] * 200))
    assert values["follow_up_suggestions"] == ["xxxx…"] + ["y"] * 99
    assert cut == ["follow_up_suggestions"]


@pytest.mark.parametrize(
    "text", ["x" * 100_000_000, b"x" * 100_000_000, ValueError("x" * 100_000_000)], ids=["text", "bytes", "exception"]
)
def test_a_huge_text_costs_no_more_than_its_limit(text: object) -> None:
    huge = record(ai_response=text)
    tracemalloc.start()
    try:
        assert sent(huge, Encoder(100_000, 500))[2] == ["ai_response"]
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


anything = st.none() | st.text(max_size=9) | st.integers() | st.floats() | st.binary(max_size=9) | st.booleans()


@settings(deadline=None)
@given(values=st.fixed_dictionaries(dict.fromkeys({*COLUMNS} - {"user_id", "user_question"}, anything)))
def test_whatever_the_values_are_the_line_is_a_record_that_needs_no_repair(values: dict[str, object]) -> None:
    line, _, _ = ENCODER.encode_repaired(record(**values))
    again = TelemetryRecord(**dict(zip(COLUMNS, json.loads(line), strict=True)))
    again.created_at = datetime.fromisoformat(str(again.created_at))
    assert ENCODER.encode_plain(again) is not None


def test_a_record_is_stored_whatever_its_values_are(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    (user,) = database.add_users()
    with caplog.at_level(logging.WARNING), TelemetryClient(database.conninfo) as client:
        odd = TelemetryRecord(
            user_id=user,
            user_question="x" * 200_000,
            created_at=datetime(1, 1, 1, tzinfo=UTC),
            ttfb_ms=-1,
            sql_output_tokens=7,
            is_off_topic=None,  # type: ignore[arg-type]
            generated_sql=b"select 1",  # type: ignore[arg-type]
            result_row_count=2**40,
        )
        assert client.persist(odd)
        assert client.flush()
        assert client.stats() == Stats(accepted=1, stored=1, repaired=1, truncated=1)
    assert odd.ttfb_ms == -1
    with database.connect() as connection:
        rows = connection.execute(
            "select created_at > now() - interval '1 minute', ttfb_ms, sql_output_tokens, generated_sql, "
            "result_row_count from public.chat_telemetry_log"
        ).fetchall()
    assert rows == [(True, None, 7, "select 1", None)]
    assert caplog.messages == [
        "odd values were replaced, see `repaired` in stats(): created_at, result_row_count, ttfb_ms",
        "texts are too long and were cut, see `truncated` in stats(): user_question",
    ]


def test_a_refused_record_is_counted_and_costs_no_round_trip(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    client = TelemetryClient("host=/nowhere", journal_dir=tmp_path / "journal")
    assert not client.persist(record(user_id=42))
    assert not client.persist(record(user_question=None))
    assert client.stats() == Stats(invalid=2)
    assert not (tmp_path / "journal").exists()
    assert caplog.messages == [f"a record is invalid: {NO_USER}", f"a record is invalid: {NO_QUESTION}"]


def test_a_cut_text_is_stored_and_counted(log: Log) -> None:
    with log.client(max_text_chars=50) as client:
        client.persist(log.record(ai_response="ä" * 60))
        client.persist(log.record(ai_response="ä" * 50, error_type="e" * 501))
        client.persist(log.record())
        assert client.flush()
        assert client.stats() == Stats(accepted=3, stored=3, truncated=2)
    responses = {row[0] for row in log.query("select ai_response from chat_telemetry_log")}
    assert responses == {"ä" * 49 + "…", "ä" * 50, None}
    assert log.query("select length(error_type) from chat_telemetry_log where error_type > ''") == [(500,)]


def test_odd_values_of_typed_records_have_a_reason() -> None:
    assert odd_values(record()) == {}
    assert odd_values(record(user_id=ANONYMOUS_USER, ttfb_ms=0, created_at=NOW.replace(tzinfo=None))) == {}
    assert odd_values(record(ttfb_ms=-1, created_at=datetime(1999, 1, 1))) == {
        "ttfb_ms": "is negative",
        "created_at": "is before 2000",
    }
    assert odd_values(record(created_at=NOW + timedelta(days=2))) == {"created_at": "is more than a day in the future"}


def test_an_endless_iterable_of_suggestions_is_cut() -> None:
    values, repaired, cut = sent(record(follow_up_suggestions=itertools.repeat("a")))
    assert (values["follow_up_suggestions"], repaired, cut) == (["a"] * 100, [], ["follow_up_suggestions"])


def test_a_long_list_in_a_text_column_is_cut_as_its_json() -> None:
    values, _, cut = sent(record(ai_response=list(range(150))))
    assert (values["ai_response"], cut) == ("[0,1,2,3,4,5,6,7,8,…", ["ai_response"])


class Zone(tzinfo):
    def utcoffset(self, moment: datetime | None) -> timedelta:
        raise RuntimeError("no offset")

    dst = tzname = utcoffset  # type: ignore[assignment]


@pytest.mark.parametrize("columns", [{"ttfb_ms": Decimal("sNaN")}, {"created_at": datetime(2026, 1, 1, tzinfo=Zone())}])
def test_a_value_that_raises_when_it_is_looked_at_is_repaired(columns: dict[str, object]) -> None:
    _, repaired, _ = sent(record(**columns))
    assert repaired == [*columns]
