from __future__ import annotations

import pytest

from chat_telemetry import _encoding
from chat_telemetry._encoding import LONGEST_LINE_BYTES, Encoder, longest_line
from chat_telemetry._record import INTEGERS, LONG_TEXTS, NAMES
from chat_telemetry._settings import Settings
from tests.loader.conftest import USER, record


@pytest.mark.parametrize("character", ["\x01", '"', "ä", "🤔", "\ud800"])
def test_no_line_of_cut_texts_is_longer_than_the_longest_line(monkeypatch: pytest.MonkeyPatch, character: str) -> None:
    monkeypatch.setattr(_encoding, "LONGEST_LINE_BYTES", 0)
    too_long = record(
        conversation_id=USER,
        follow_up_suggestions=[character * 51] * 101,
        **dict.fromkeys(LONG_TEXTS, character * 1001),
        **dict.fromkeys(NAMES, character * 51),
        **dict.fromkeys(INTEGERS, 2**31 - 1),
    )
    line, _, cut = Encoder(1000, 50).encode_repaired(too_long)
    assert {*cut} >= {*LONG_TEXTS, *NAMES}
    assert len(line) <= longest_line(1000, 50)


def test_a_line_of_the_default_limits_fits_in_the_longest_line_of_every_process() -> None:
    assert longest_line(1, 1) == longest_line(Settings.max_text_chars, Settings.max_name_chars) == LONGEST_LINE_BYTES
