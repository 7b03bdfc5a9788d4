from __future__ import annotations

import enum
import json
import math
import os
import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

import msgspec
import pytest
import uuid_utils
from hypothesis import given
from hypothesis import strategies as st

from chat_telemetry import TelemetryRecord
from chat_telemetry._errors import InvalidRecord
from chat_telemetry._record import COLUMNS, encode
from tests.conftest import Database

USER = UUID("6f0f6a3e-3f7b-5a0e-9d2e-0c7d8a4b1f00")


def record(**columns: object) -> TelemetryRecord:
    return TelemetryRecord(**{"user_id": USER, "user_question": "How many orders?", **columns})


def decode(line: bytes | str) -> TelemetryRecord:
    return msgspec.json.decode(line, type=TelemetryRecord)


def fields(of: TelemetryRecord) -> dict:
    return dict(zip(COLUMNS, json.loads(encode(of)), strict=True))


def test_the_columns_are_those_of_the_table_less_the_one_that_the_database_computes(database: Database) -> None:
    with database.connect() as connection:
        rows = connection.execute(
            "select attname from pg_attribute where attrelid = 'public.chat_telemetry_log'::regclass and attnum > 0 "
            "order by attnum"
        ).fetchall()
    assert [*COLUMNS] == [name for (name,) in rows if name != "sql_fingerprint"]


def test_a_record_needs_a_user_and_a_question_only() -> None:
    before = datetime.now(UTC)
    minimal = TelemetryRecord(user_id=USER, user_question="How many orders?")
    assert type(minimal.log_id) is UUID
    assert minimal.log_id.version == 7
    assert before <= minimal.created_at <= datetime.now(UTC)
    assert {column for column in COLUMNS if getattr(minimal, column) is not None} == {
        "log_id", "user_id", "created_at", "user_question", "is_off_topic",
    }  # fmt: skip
    with pytest.raises(TypeError, match="user_question"):
        TelemetryRecord(user_id=USER)


def test_keys_grow_with_time() -> None:
    keys = [record().log_id for _ in range(1000)]
    assert keys == sorted(keys)
    assert len({*keys}) == 1000


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_forked_children_make_keys_of_their_own() -> None:
    record()  # the generator has its state before the forks that copy it
    keys: set[bytes] = set()
    for _ in range(4):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(write, b"".join(record().log_id.bytes[6:] for _ in range(50)))  # less the milliseconds
            os._exit(0)
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            made = pipe.read()
        os.waitpid(child, 0)
        keys |= {made[i : i + 10] for i in range(0, len(made), 10)}
    assert len(keys) == 200


@pytest.mark.parametrize(
    ("column", "value", "complaint"),
    [
        ("user_id", None, "Expected `uuid`, got `null`"),
        ("user_question", 3, "Expected `str`, got `int`"),
        ("ttfb_ms", "12", "Expected `int | null`, got `str`"),
        ("ttfb_ms", 2**31, "Expected `int` <= 2147483647"),
        ("ttfb_ms", -(2**31) - 1, "Expected `int` >= -2147483648"),
        ("created_at", "yesterday", "Invalid RFC3339 encoded datetime"),
    ],
)
def test_a_strict_reading_names_the_place_at_fault(column: str, value: object, complaint: str) -> None:
    line = json.dumps([*{**fields(record()), column: value}.values()])
    with pytest.raises(msgspec.ValidationError, match=re.escape(f"{complaint} - at `$[{COLUMNS.index(column)}]`")):
        decode(line)


def test_a_line_has_a_value_for_each_column_and_no_more() -> None:
    values = [*fields(record()).values()]
    with pytest.raises(msgspec.ValidationError, match="at most length 26"):
        decode(json.dumps([*values, "a fingerprint"]))
    with pytest.raises(msgspec.ValidationError, match="at least length 6"):
        decode(json.dumps(values[:1]))


UTC_OR_NOT = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-8))])


@given(
    text=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    suggestions=st.none() | st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))),
    number=st.none() | st.integers(-(2**31), 2**31 - 1),
    moment=st.datetimes(timezones=UTC_OR_NOT),
)
def test_reading_a_line_gives_the_record_back(
    text: str, suggestions: list[str] | None, number: int | None, moment: datetime
) -> None:
    made = record(
        user_question=text, follow_up_suggestions=suggestions, ttfb_ms=number, created_at=moment, response_id=str(USER)
    )
    line = encode(made)
    assert decode(line) == made
    assert b"\n" not in line


def test_half_a_surrogate_pair_becomes_the_replacement_character() -> None:
    mended = fields(record(ai_response="\ud800x\udc00", follow_up_suggestions=["x", "\udfff"]))
    assert mended["ai_response"] == "\ufffdx\ufffd"
    assert mended["follow_up_suggestions"] == ["x", "\ufffd"]


def test_two_surrogates_that_make_a_pair_become_their_character() -> None:
    assert fields(record(user_question="\ud83d\ude00"))["user_question"] == "\N{GRINNING FACE}"


class Extended(TelemetryRecord, kw_only=True):
    """As an application may add to a record what its redact hook wants to know."""

    user_id: UUID
    tenant: str


def test_a_subclass_is_sent_as_the_record_that_it_is() -> None:
    made = Extended(user_id=USER, user_question="How many orders?", tenant="north")
    assert fields(made)["user_id"] == str(USER)
    assert fields(made)["user_question"] == "How many orders?"


def test_encoding_leaves_the_record_as_it_was() -> None:
    made = record(user_question="a\ud800b", created_at=datetime(2026, 1, 1))
    encode(made)
    assert made.user_question == "a\ud800b"
    assert made.created_at == datetime(2026, 1, 1)


@pytest.mark.parametrize("moment", [datetime(2026, 3, 29, 2, 30), "2026-03-29T02:30:00", "2026-03-29 02:30"])
def test_a_moment_without_time_zone_is_one_of_utc(moment: object) -> None:
    assert datetime.fromisoformat(fields(record(created_at=moment))["created_at"]) == datetime(
        2026, 3, 29, 2, 30, tzinfo=UTC
    )


class Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "not the text"


class Moment(datetime):
    """As pandas, pendulum and freezegun have them."""


class Count(int):
    """As numpy has them: integers that are not exactly `int`."""


class Step(enum.StrEnum):
    RESPONSE = "response"


HALF_PAST_MIDNIGHT = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
PLUS_FIVE_THIRTY = timezone(timedelta(hours=5, minutes=30))


@pytest.mark.parametrize("question", ["How many?", "How many\ud800?"], ids=["clean text", "lone surrogate"])
@pytest.mark.parametrize(
    "created_at",
    [
        pytest.param("2026-03-29T02:30:00+02:00", id="text"),
        pytest.param(HALF_PAST_MIDNIGHT.astimezone(PLUS_FIVE_THIRTY), id="datetime"),
        pytest.param(Moment(2026, 3, 29, 6, tzinfo=PLUS_FIVE_THIRTY), id="subclass of datetime"),
    ],
)
def test_a_time_with_a_utc_offset_stays_the_same_instant(question: str, created_at: object) -> None:
    sent = fields(record(user_question=question, created_at=created_at))["created_at"]
    assert datetime.fromisoformat(sent) == HALF_PAST_MIDNIGHT


@pytest.mark.parametrize(("number", "expected"), [(Fraction(25, 2), 12.5), (Count(7), 7)], ids=["Real", "Integral"])
def test_other_types_of_numbers_become_json_numbers(number: object, expected: float) -> None:
    assert fields(record(ttfb_ms=number))["ttfb_ms"] == expected


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_becomes_null(number: float) -> None:
    assert fields(record(ttfb_ms=number))["ttfb_ms"] is None


def test_relatives_of_the_declared_types_are_taken_for_what_they_are() -> None:
    key = uuid_utils.uuid7()
    sent = fields(
        record(
            log_id=key,
            user_id=str(USER),
            user_question=Text("How many\ud800?"),
            failed_step=Step.RESPONSE,
            created_at=Moment(2026, 1, 1),
            ttfb_ms=Decimal("12.4"),
        )
    )
    assert sent["log_id"] == str(key)
    assert sent["user_id"] == str(USER)
    assert sent["user_question"] == "How many\ufffd?"
    assert sent["failed_step"] == "response"
    assert datetime.fromisoformat(sent["created_at"]) == datetime(2026, 1, 1, tzinfo=UTC)
    assert sent["ttfb_ms"] == "12.4"


@pytest.mark.parametrize("thing", [None, {}, "record", 7, object(), TelemetryRecord])
def test_what_is_no_record_is_refused_by_the_name_of_its_type(thing: object) -> None:
    with pytest.raises(InvalidRecord, match=f"expected TelemetryRecord, got {type(thing).__name__}"):
        encode(thing)


def test_a_refusal_never_quotes_the_value() -> None:
    class Secret:
        def __repr__(self) -> str:
            return "hunter2"

    for columns in ({"ai_response": Secret()}, {"created_at": "hunter2"}, {"user_question": {"hunter2": Secret()}}):
        with pytest.raises(InvalidRecord) as refusal:
            encode(record(**columns))
        assert "hunter2" not in str(refusal.value)
