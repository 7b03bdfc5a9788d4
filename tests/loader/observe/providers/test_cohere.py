from __future__ import annotations

from tests.loader.observe.providers.conftest import EXPECTED, chunks, first_text_at, read, whole


def test_a_whole_response_is_read() -> None:
    assert read(whole("cohere")) == EXPECTED["cohere"]


def test_the_last_event_of_a_cohere_stream_has_its_usage() -> None:
    assert read(*chunks("cohere")) == (None, None, 312, 11, None)
    assert read(*chunks("cohere")[:-1])[2:] == (None, None, None)
    assert first_text_at(chunks("cohere")) == 2
