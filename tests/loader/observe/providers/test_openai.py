from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest

from tests.loader.observe.providers.conftest import EXPECTED, MESSAGES, chunks, first_text_at, first_with_text, read

RESPONSES, CHAT = EXPECTED["openai_responses"], EXPECTED["openai_chat"]
STREAMED_RESPONSES = ("gpt-4.1-mini-2025-04-14", "resp_7d41c0de", 512, 24, 128)
STREAMED_CHAT = ("gpt-4o-mini-2024-07-18", "chatcmpl-CfX2Cd", 301, 17, 0)


@pytest.fixture(scope="module")
def openai_client(provider: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{provider}/v1", api_key="none") as client:
        yield client


def test_openai_responses_are_read(openai_client: openai.OpenAI) -> None:
    response = openai_client.responses.create(model="gpt-4o-mini", input="How many orders?")
    assert read(response) == RESPONSES


def test_a_stream_of_openai_responses_reports_its_usage_at_the_end(openai_client: openai.OpenAI) -> None:
    events = list(openai_client.responses.create(model="gpt-4.1-mini", input="How many orders?", stream=True))
    assert read(*events[:-1]) == ("gpt-4.1-mini-2025-04-14", "resp_7d41c0de", None, None, None)
    assert read(*events) == STREAMED_RESPONSES
    assert first_with_text(events).delta == "There were "


def test_the_streaming_helper_of_openai_responses_is_read(openai_client: openai.OpenAI) -> None:
    with openai_client.responses.stream(model="gpt-4.1-mini", input="How many orders?") as stream:
        events = list(stream)
    assert read(*events) == STREAMED_RESPONSES
    assert first_with_text(events).delta == "There were "


def test_openai_chat_completions_are_read(openai_client: openai.OpenAI) -> None:
    assert read(openai_client.chat.completions.create(model="gpt-4o", messages=MESSAGES)) == CHAT


def test_a_stream_of_chat_completions_reports_its_usage_with_include_usage(openai_client: openai.OpenAI) -> None:
    chunks = list(
        openai_client.chat.completions.create(
            model="gpt-4o-mini", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
    )
    assert read(*chunks) == STREAMED_CHAT
    assert first_with_text(chunks).choices[0].delta.content == "There were "


def test_a_stream_of_chat_completions_without_include_usage_reports_only_the_model(
    openai_client: openai.OpenAI,
) -> None:
    chunks = openai_client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES, stream=True)
    assert read(*chunks) == ("gpt-4o-mini-2024-07-18", "chatcmpl-CfX2Cd", None, None, None)


def test_the_streaming_helper_of_chat_completions_is_read(openai_client: openai.OpenAI) -> None:
    with openai_client.chat.completions.stream(
        model="gpt-4o-mini", messages=MESSAGES, stream_options={"include_usage": True}
    ) as stream:
        events = list(stream)
    assert read(*events) == STREAMED_CHAT
    assert first_with_text(events).delta == "There were "


@pytest.mark.parametrize(
    ("api", "expected"), [("openai_responses", STREAMED_RESPONSES), ("openai_chat", STREAMED_CHAT)]
)
def test_the_chunks_of_a_stream_are_read_as_dicts_too(api: str, expected: object) -> None:
    assert read(*chunks(api)) == expected
    assert "There were " in str(first_with_text(chunks(api)))


def test_the_last_event_of_a_realtime_response_has_its_usage() -> None:
    events = chunks("openai_realtime")
    assert read(*events) == (None, "resp_rt1", 127, 148, 64)
    assert read(*events[:-1])[2:] == (None, None, None)
    assert first_text_at(events) == 1


def test_the_first_chunk_of_azure_names_no_model() -> None:
    filtered = {"id": "", "model": "", "object": "", "choices": [], "prompt_filter_results": [{"prompt_index": 0}]}
    assert read(filtered, *chunks("openai_chat")) == STREAMED_CHAT


def test_the_events_of_an_agent_with_two_model_responses_add_up() -> None:
    def events(response_id: str, read: int) -> list[object]:
        usage = {"input_tokens": read, "output_tokens": 5, "input_tokens_details": {"cached_tokens": 1}}
        created = {"id": response_id, "model": "gpt-5", "status": "in_progress"}
        return [
            {"type": "raw_response_event", "data": {"type": "response.created", "response": created}},
            {
                "type": "raw_response_event",
                "data": {"type": "response.completed", "response": {**created, "status": "completed", "usage": usage}},
            },
        ]

    assert read(*events("resp_1", 10), *events("resp_2", 20)) == ("gpt-5", "resp_2", 30, 10, 2)
