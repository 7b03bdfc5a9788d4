from __future__ import annotations

import enum
import json
import os
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import msgspec
import pytest
import uuid_utils
from hypothesis import given, settings
from hypothesis import strategies as st

from chat_telemetry import TelemetryRecord
from chat_telemetry._encoding import encode
from chat_telemetry._errors import InvalidRecord
from chat_telemetry._record import COLUMNS
from tests.conftest import Database
from tests.loader.conftest import USER, record


def decode(line: bytes | str) -> TelemetryRecord:
    return msgspec.json.decode(line, type=TelemetryRecord)


def fields(of: TelemetryRecord) -> dict[str, Any]:
    return dict(zip(COLUMNS, json.loads(encode(of)), strict=True))


def test_the_columns_are_those_of_the_table_without_the_one_that_the_database_computes(database: Database) -> None:
    with database.connect() as connection:
        rows = connection.execute(
            "select attname from pg_attribute where attrelid = 'public.chat_telemetry_log'::regclass and attnum > 0 "
            "order by attnum"
        ).fetchall()
    assert [*COLUMNS] == [name for (name,) in rows if name != "sql_fingerprint"]


def test_a_record_needs_only_a_user_and_a_question() -> None:
    before = datetime.now(UTC)
    minimal = TelemetryRecord(user_id=USER, user_question="How many orders?")
    assert type(minimal.log_id) is UUID
    assert minimal.log_id.version == 7
    assert before <= minimal.created_at <= datetime.now(UTC)
    assert {column for column in COLUMNS if getattr(minimal, column) is not None} == {
        "log_id", "user_id", "created_at", "user_question", "is_off_topic",
    }  # fmt: skip
    with pytest.raises(TypeError, match="user_question"):
        TelemetryRecord(user_id=USER)  # type: ignore[call-arg]


def test_keys_ascend_with_time() -> None:
    keys = [record().log_id for _ in range(1000)]
    assert keys == sorted(keys)
    assert len({*keys}) == 1000


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_forked_children_create_different_keys() -> None:
    record()  # initializes the generator, whose state the forks copy
    keys: set[bytes] = set()
    for _ in range(4):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(write, b"".join(record().log_id.bytes[6:] for _ in range(50)))  # without the milliseconds
            os._exit(0)
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            made = pipe.read()
        os.waitpid(child, 0)
        keys |= {made[i : i + 10] for i in range(0, len(made), 10)}
    assert len(keys) == 200


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("user_id", None, "Expected `uuid`, got `null`"),
        ("user_question", 3, "Expected `str`, got `int`"),
        ("ttfb_ms", "12", "Expected `int | null`, got `str`"),
        ("ttfb_ms", 2**31, "Expected `int` <= 2147483647"),
        ("ttfb_ms", -(2**31) - 1, "Expected `int` >= -2147483648"),
        ("created_at", "yesterday", "Invalid RFC3339 encoded datetime"),
    ],
)
def test_strict_decoding_names_the_invalid_column(column: str, value: object, reason: str) -> None:
    line = json.dumps([*{**fields(record()), column: value}.values()])
    with pytest.raises(msgspec.ValidationError, match=re.escape(f"{reason} - at `$[{COLUMNS.index(column)}]`")):
        decode(line)


def test_a_line_has_exactly_one_value_for_each_column() -> None:
    values = [*fields(record()).values()]
    with pytest.raises(msgspec.ValidationError, match="at most length 26"):
        decode(json.dumps([*values, "a fingerprint"]))
    with pytest.raises(msgspec.ValidationError, match="at least length 6"):
        decode(json.dumps(values[:1]))


TIME_ZONES = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-8))])


@settings(deadline=None)
@given(
    text=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    suggestions=st.none() | st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))),
    number=st.none() | st.integers(0, 2**31 - 1),
    moment=st.datetimes(datetime(2000, 1, 2), datetime(2025, 1, 1), timezones=TIME_ZONES),
)
def test_decoding_a_line_returns_the_record(
    text: str, suggestions: list[str] | None, number: int | None, moment: datetime
) -> None:
    original = record(
        user_question=text, follow_up_suggestions=suggestions, ttfb_ms=number, created_at=moment, response_id=str(USER)
    )
    line = encode(original)
    assert decode(line) == original
    assert b"\n" not in line


def test_a_lone_surrogate_becomes_the_replacement_character() -> None:
    sanitized = fields(record(ai_response="\ud800x\udc00", follow_up_suggestions=["x", "\udfff"]))
    assert sanitized["ai_response"] == "\ufffdx\ufffd"
    assert sanitized["follow_up_suggestions"] == ["x", "\ufffd"]


def test_a_pair_of_surrogates_becomes_its_character() -> None:
    assert fields(record(user_question="\ud83d\ude00"))["user_question"] == "\N{GRINNING FACE}"


class Extended(TelemetryRecord, kw_only=True):
    """An application may add to a record what its redact hook needs to know."""

    user_id: UUID
    tenant: str


def test_a_subclass_is_sent_with_the_columns_of_the_log_only() -> None:
    sent = fields(Extended(user_id=USER, user_question="How many orders?", tenant="north"))
    assert sent["user_id"] == str(USER)
    assert sent["user_question"] == "How many orders?"


def test_encoding_does_not_change_the_record() -> None:
    original = record(user_question="a\ud800b", created_at=datetime(2026, 1, 1))
    encode(original)
    assert original.user_question == "a\ud800b"
    assert original.created_at == datetime(2026, 1, 1)


@pytest.mark.parametrize("time", [datetime(2026, 3, 29, 2, 30), "2026-03-29T02:30:00", "2026-03-29 02:30"])
def test_a_time_without_a_time_zone_is_utc(time: object) -> None:
    assert datetime.fromisoformat(fields(record(created_at=time))["created_at"]) == datetime(
        2026, 3, 29, 2, 30, tzinfo=UTC
    )


class Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "not the text"


class Moment(datetime):
    """A subclass of datetime, like those of pandas, pendulum and freezegun."""


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


def test_values_of_similar_types_are_converted() -> None:
    key = uuid_utils.uuid7()
    sent = fields(
        record(
            log_id=key,
            user_id=str(USER),
            user_question=Text("How many\ud800?"),
            failed_step=Step.RESPONSE,
            created_at=Moment(2026, 1, 1),
        )
    )
    assert sent["log_id"] == str(key)
    assert sent["user_id"] == str(USER)
    assert sent["user_question"] == "How many\ufffd?"
    assert sent["failed_step"] == "response"
    assert datetime.fromisoformat(sent["created_at"]) == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("value", [None, {}, "record", 7, object(), TelemetryRecord])
def test_anything_that_is_not_a_record_is_rejected_with_its_type(value: object) -> None:
    with pytest.raises(InvalidRecord, match=f"expected TelemetryRecord, got {type(value).__name__}"):
        encode(value)  # type: ignore[arg-type]


def test_the_message_of_a_rejection_never_quotes_the_value() -> None:
    class Secret:
        def __repr__(self) -> str:
            return "hunter2"

    for columns in ({"user_id": "hunter2"}, {"user_question": Secret()}, {"user_question": {"hunter2": Secret()}}):
        with pytest.raises(InvalidRecord) as rejection:
            encode(record(**columns))
        assert "hunter2" not in str(rejection.value)
