from __future__ import annotations

import enum
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_telemetry import Stats, TelemetryRecord
from chat_telemetry._limits import has_long_name, shorten
from chat_telemetry._record import LONG_TEXTS, NAMES
from tests.loader.conftest import Log


def record(**columns: object) -> TelemetryRecord:
    return TelemetryRecord(**{"user_id": uuid4(), "user_question": "q", **columns})


@pytest.mark.parametrize("column", LONG_TEXTS + NAMES)
def test_a_text_may_be_as_long_as_its_limit_and_ends_in_a_mark_where_it_was_cut(column: str) -> None:
    limit = 20 if column in LONG_TEXTS else 5
    assert shorten(record(**{column: "x" * limit}), 20, 5) is None
    long = record(**{column: "x" * (limit + 1)})
    cut = shorten(long, 20, 5)
    assert cut is not None
    assert getattr(cut, column) == "x" * (limit - 1) + "…"
    assert (cut.log_id, cut.user_id) == (long.log_id, long.user_id)
    assert getattr(long, column) == "x" * (limit + 1), "the application keeps its own"


def test_suggestions_are_cut_in_length_and_number() -> None:
    cut = shorten(record(follow_up_suggestions=["x" * 9] + ["y"] * 200), 20, 5)
    assert cut is not None
    assert cut.follow_up_suggestions == ["xxxx…"] + ["y"] * 99


class Name(str, enum.Enum):  # noqa: UP042 - the kind meant
    """Whose own name is shorter than its text."""

    A = "as long as twenty characters"


texts = st.none() | st.text(max_size=12) | st.integers() | st.just(Name.A)


@given(
    names=st.fixed_dictionaries(dict.fromkeys(NAMES, texts)),
    suggestions=st.none() | st.lists(texts, max_size=3) | st.integers(),
)
def test_the_quick_look_misses_nothing(names: dict, suggestions: object) -> None:
    made = record(**names, follow_up_suggestions=suggestions)
    if shorten(made, 100, 8) is not None:
        assert has_long_name(made, 8)


def test_what_was_cut_is_counted_and_said_and_stored(log: Log, caplog: pytest.LogCaptureFixture) -> None:
    with log.client(max_text_chars=50) as client:
        client.persist(log.record(ai_response="ä" * 60))
        client.persist(log.record(ai_response="ä" * 50, error_type="e" * 501))
        client.persist(log.record())
        assert client.flush()
        assert client.stats() == Stats(accepted=3, stored=3, truncated=2)
    assert caplog.messages == ["a text is too long and was cut: see `truncated` in stats()"]
    answers = {row[0] for row in log.query("select ai_response from chat_telemetry_log")}
    assert answers == {"ä" * 49 + "…", "ä" * 50, None}
    assert log.query("select length(error_type) from chat_telemetry_log where error_type > ''") == [(500,)]
