from __future__ import annotations

from collections.abc import Iterator

import anthropic
import pytest

from tests.loader.observe.providers.conftest import EXPECTED, MESSAGES, chunks, first_with_text, read
from tests.providers import RESPONSE_TEXT

ANTHROPIC = EXPECTED["anthropic"]
STREAMED_ANTHROPIC = ("claude-haiku-4-5-20251001", "msg_01YGEVEZKhBBDawoquwWpZFM", 25 + 2048, 64, 2048)


@pytest.fixture(scope="module")
def anthropic_client(provider: str) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=provider, api_key="none") as client:
        yield client


def test_the_input_tokens_of_anthropic_include_those_that_its_cache_read_and_wrote(
    anthropic_client: anthropic.Anthropic,
) -> None:
    message = anthropic_client.messages.create(model="claude-haiku-4-5", max_tokens=99, messages=MESSAGES)
    assert read(message) == ANTHROPIC


def test_a_stream_of_anthropic_reports_input_first_and_output_last(anthropic_client: anthropic.Anthropic) -> None:
    events = list(
        anthropic_client.messages.create(model="claude-haiku-4-5", max_tokens=99, messages=MESSAGES, stream=True)
    )
    assert read(events[0])[2:] == (25 + 2048, 1, 2048)
    assert read(*events) == STREAMED_ANTHROPIC
    assert first_with_text(events).delta.text == "There were "


def test_the_streaming_helper_of_anthropic_is_read(anthropic_client: anthropic.Anthropic) -> None:
    with anthropic_client.messages.stream(model="claude-haiku-4-5", max_tokens=99, messages=MESSAGES) as stream:
        events = list(stream)
        final = stream.get_final_message()
    assert read(*events) == read(final) == STREAMED_ANTHROPIC
    assert "".join(event.text for event in events if event.type == "text") == RESPONSE_TEXT


def test_the_events_of_a_stream_are_read_as_dicts_too() -> None:
    assert read(*chunks("anthropic")) == STREAMED_ANTHROPIC
    assert first_with_text(chunks("anthropic"))["delta"]["text"] == "There were "


def test_a_message_without_cache_fields_has_no_number_of_cached_tokens() -> None:
    usage = {"input_tokens": 10, "output_tokens": 5}
    assert read({"id": "msg", "model": "claude-haiku-4-5", "usage": usage})[2:] == (10, 5, None)
