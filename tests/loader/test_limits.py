from __future__ import annotations

import enum

import pytest
from chat_telemetry._limits import has_long_name, shorten
from hypothesis import given
from hypothesis import strategies as st

from chat_telemetry import Stats
from chat_telemetry._record import LONG_TEXTS, NAMES
from tests.loader.conftest import Log, record


@pytest.mark.parametrize("column", LONG_TEXTS + NAMES)
def test_a_text_longer_than_its_limit_is_cut_and_ends_with_a_mark(column: str) -> None:
    limit = 20 if column in LONG_TEXTS else 5
    assert shorten(record(**{column: "x" * limit}), 20, 5) is None
    long = record(**{column: "x" * (limit + 1)})
    cut = shorten(long, 20, 5)
    assert cut is not None
    assert getattr(cut, column) == "x" * (limit - 1) + "…"
    assert (cut.log_id, cut.user_id) == (long.log_id, long.user_id)
    assert getattr(long, column) == "x" * (limit + 1), "the record of the application stays unchanged"


def test_suggestions_are_cut_in_length_and_number() -> None:
    cut = shorten(record(follow_up_suggestions=["x" * 9] + ["y"] * 200), 20, 5)
    assert cut is not None
    assert cut.follow_up_suggestions == ["xxxx…"] + ["y"] * 99


class Name(str, enum.Enum):  # noqa: UP042 - its str() is not its text, unlike that of StrEnum
    """An enumeration whose member has a shorter name than text."""

    A = "as long as twenty characters"


texts = st.none() | st.text(max_size=12) | st.integers() | st.just(Name.A)


@given(
    names=st.fixed_dictionaries(dict.fromkeys(NAMES, texts)),
    suggestions=st.none() | st.lists(texts, max_size=3) | st.integers(),
)
def test_the_fast_check_finds_every_long_name(names: dict[str, object], suggestions: object) -> None:
    checked = record(**names, follow_up_suggestions=suggestions)
    if shorten(checked, 100, 8) is not None:
        assert has_long_name(checked, 8)


@pytest.mark.parametrize("name", NAMES)
def test_the_fast_check_finds_one_name_that_is_too_long_by_one(name: str) -> None:
    assert has_long_name(record(**{name: "x" * 9}), 8)
    assert not has_long_name(record(**{name: "x" * 8}), 8)


def test_a_cut_text_is_stored_counted_and_logged(log: Log, caplog: pytest.LogCaptureFixture) -> None:
    with log.client(max_text_chars=50) as client:
        client.persist(log.record(ai_response="ä" * 60))
        client.persist(log.record(ai_response="ä" * 50, error_type="e" * 501))
        client.persist(log.record())
        assert client.flush()
        assert client.stats() == Stats(accepted=3, stored=3, truncated=2)
    assert caplog.messages == ["a text is too long and was cut: see `truncated` in stats()"]
    responses = {row[0] for row in log.query("select ai_response from chat_telemetry_log")}
    assert responses == {"ä" * 49 + "…", "ä" * 50, None}
    assert log.query("select length(error_type) from chat_telemetry_log where error_type > ''") == [(500,)]
