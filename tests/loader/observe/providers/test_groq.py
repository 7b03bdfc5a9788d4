from __future__ import annotations

from tests.loader.observe.providers.conftest import EXPECTED, chunks, first_text_at, read, whole


def test_a_whole_response_is_read() -> None:
    assert read(whole("groq")) == EXPECTED["groq"]


def test_the_last_chunk_of_a_groq_stream_has_its_usage_in_a_field_of_its_own() -> None:
    assert read(*chunks("groq")) == ("llama-3.3-70b-versatile", "chatcmpl-9f2e", 233, 9, None)
    assert read(*chunks("groq")[:-1])[2:] == (None, None, None)
    assert first_text_at(chunks("groq")) == 1
