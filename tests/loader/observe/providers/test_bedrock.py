from __future__ import annotations

from tests.loader.observe.providers.conftest import EXPECTED, chunks, first_text_at, read, whole


def test_a_whole_response_is_read() -> None:
    assert read(whole("bedrock")) == EXPECTED["bedrock"]


def test_the_last_event_of_a_bedrock_stream_has_its_usage() -> None:
    assert read(*chunks("bedrock")) == (None, None, 77 + 2048, 12, 2048)
    assert read(*chunks("bedrock")[:-1])[2:] == (None, None, None)
    assert first_text_at(chunks("bedrock")) == 1


def test_usage_without_a_cache_has_no_number_of_cached_tokens() -> None:
    assert read({"usage": {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}})[2:] == (10, 5, None)
