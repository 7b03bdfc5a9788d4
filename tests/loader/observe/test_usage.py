from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from unittest.mock import MagicMock

import anthropic
import openai
import pytest
from google import genai
from google.genai.types import HttpOptions

from chat_telemetry._observe.first_text import begins_response
from chat_telemetry._observe.usage import ModelCall
from tests.providers import RESPONSE_TEXT, WIRE, running_provider

MESSAGES: Any = [{"role": "user", "content": "How many orders?"}]


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with running_provider() as url:
        yield url


@pytest.fixture(scope="module")
def openai_client(provider: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{provider}/v1", api_key="none") as client:
        yield client


@pytest.fixture(scope="module")
def anthropic_client(provider: str) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=provider, api_key="none") as client:
        yield client


@pytest.fixture(scope="module")
def gemini_client(provider: str) -> Iterator[genai.Client]:
    with genai.Client(api_key="none", http_options=HttpOptions(base_url=provider)) as client:
        yield client


def read(*parts: object) -> tuple[str | None, str | None, int | None, int | None, int | None]:
    call = ModelCall()
    for part in parts:
        call.read(part)
    return call.model, call.response_id, *call.tokens()


def first_with_text(chunks: list[Any]) -> Any:
    return next(chunk for chunk in chunks if begins_response(chunk))


EXPECTED = {api: tuple(values) for api, values in json.loads((WIRE / "expected.json").read_text()).items()}
RESPONSES, CHAT = EXPECTED["openai_responses"], EXPECTED["openai_chat"]
ANTHROPIC, GEMINI = EXPECTED["anthropic"], EXPECTED["gemini"]
STREAMED_RESPONSES = ("gpt-4.1-mini-2025-04-14", "resp_7d41c0de", 512, 24, 128)
STREAMED_CHAT = ("gpt-4o-mini-2024-07-18", "chatcmpl-CfX2Cd", 301, 17, 0)
STREAMED_ANTHROPIC = ("claude-haiku-4-5-20251001", "msg_01YGEVEZKhBBDawoquwWpZFM", 25 + 2048, 64, 2048)
STREAMED_GEMINI = ("gemini-2.5-pro", "uUDxbdvFCNwojuZQ17rthRZ", 77, 9 + 41, None)


@pytest.mark.parametrize("api", EXPECTED)
def test_a_capture_is_read_as_a_dict(api: str) -> None:
    assert read(json.loads((WIRE / f"{api}.json").read_text())) == EXPECTED[api]


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


def test_thoughts_of_gemini_count_as_output_and_tool_results_as_input(gemini_client: genai.Client) -> None:
    assert read(gemini_client.models.generate_content(model="gemini-2.5-flash", contents="How many?")) == GEMINI


def test_the_last_chunk_of_a_gemini_stream_has_the_total_usage(gemini_client: genai.Client) -> None:
    chunks = list(gemini_client.models.generate_content_stream(model="gemini-2.5-pro", contents="How many?"))
    assert read(*chunks) == STREAMED_GEMINI
    assert first_with_text(chunks) is chunks[1]  # the first is a thought


@pytest.mark.parametrize(
    ("api", "expected"),
    [
        ("openai_responses", STREAMED_RESPONSES),
        ("openai_chat", STREAMED_CHAT),
        ("anthropic", STREAMED_ANTHROPIC),
        ("gemini", STREAMED_GEMINI),
    ],
)
def test_the_chunks_of_a_stream_are_read_as_dicts_too(api: str, expected: object) -> None:
    lines = (WIRE / f"{api}.sse").read_text().splitlines()
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")]
    assert read(*chunks) == expected
    assert "There were " in json.dumps(first_with_text(chunks))


def test_a_response_with_the_fields_of_openai_and_anthropic_is_not_counted_twice() -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 60},
        "cache_read_input_tokens": 60,
    }
    assert read({"id": "x", "model": "claude-haiku-4-5", "usage": usage})[2:] == (100, 7, 60)


@pytest.mark.parametrize("response", [None, "text", 7, object(), {}, {"usage": None}, {"usage": {"input_tokens": "9"}}])
def test_other_objects_report_nothing(response: object) -> None:
    assert read(response) == (None, None, None, None, None)


def test_a_mock_reports_nothing() -> None:
    assert read(MagicMock()) == (None, None, None, None, None)


@pytest.mark.parametrize(("chunk", "begins"), [("There", True), ("", False), (b"There", True), (object(), False)])
def test_a_text_begins_the_response_and_an_object_of_an_unknown_type_does_not(chunk: object, begins: bool) -> None:
    assert begins_response(chunk) is begins
