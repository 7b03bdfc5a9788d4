from __future__ import annotations

from typing import Any
from unittest.mock import MagicMock

import pytest
from openai.types.responses import ResponseErrorEvent

from chat_telemetry._observe.fields import Fields
from chat_telemetry._observe.first_text import begins_response
from chat_telemetry._observe.usage import ModelCall, model_responses
from tests.loader.observe.providers.conftest import EXPECTED, read, whole


@pytest.mark.parametrize("api", EXPECTED)
def test_a_capture_is_read_as_a_dict(api: str) -> None:
    assert read(whole(api)) == EXPECTED[api]


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


USAGE = {"prompt_tokens": 9, "completion_tokens": 4}


@pytest.mark.parametrize(
    "usage",
    [
        {"input_tokens": 10, "output_tokens": 5, "cached_input_tokens": 3},
        {"input_tokens": 10, "output_tokens": 5, "cached_tokens": 3},
        {"inputTokens": 10, "outputTokens": 5, "cachedInputTokens": 3},
        {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"prompt_cache_tokens": 3}},
        {"prompt_token_count": 10, "candidates_token_count": 5, "cache_hits": 3.0},
    ],
)
def test_a_look_alike_with_an_unknown_count_of_cached_tokens_reports_no_tokens(usage: object) -> None:
    assert read({"model": "m", "usage": usage}) == ("m", None, None, None, None)


@pytest.mark.parametrize("cached", [0, None, "3", -3])
def test_an_unknown_cache_field_without_a_count_changes_nothing(cached: object) -> None:
    assert read({"usage": {**USAGE, "cached_input_tokens": cached}})[2:] == (9, 4, None)


def test_counts_that_are_whole_floats_are_read_and_others_are_not() -> None:
    assert read({"usage": {"prompt_tokens": 9.0, "completion_tokens": 4.5}})[2:] == (9, None, None)
    assert read({"usage": {"prompt_tokens": True, "completion_tokens": -4}})[2:] == (None, None, None)


@pytest.mark.parametrize(
    "response",
    [
        {"object": "list", "model": "embedder", "data": [{"embedding": [0.1]}], "usage": {"prompt_tokens": 8}},
        {"model": "embedder", "embeddings": [[0.1]], "prompt_eval_count": 8},
        {"model": "embedder", "embedding": [0.1], "inputTextTokenCount": 8},
        {"model": "moderator", "results": [{"flagged": False}]},
        {"model": "ranker", "results": [{"index": 0, "relevance_score": 0.9}], "usage": {"prompt_tokens": 8}},
    ],
)
def test_the_response_of_a_model_that_does_not_chat_reports_nothing(response: object) -> None:
    assert read(response) == (None, None, None, None, None)
    call = ModelCall()
    call.read(response)
    assert call.is_empty


def test_the_first_model_that_is_named_counts() -> None:
    assert read({"model": ""}, {"model": "a"}, {"model": "b", "usage": USAGE}) == ("a", None, 9, 4, None)


def test_metadata_of_the_application_is_no_model_response() -> None:
    response = {"id": "r", "model": "m", "metadata": {"model": "mine", "id": "7", "usage": "high"}, "usage": USAGE}
    assert read(response) == ("m", "r", 9, 4, None)
    assert read({"metadata": {"model": "mine"}}) == (None, None, None, None, None)


@pytest.mark.parametrize(
    ("response", "failure"),
    [
        (
            {"status": "failed", "error": {"code": "server_error", "message": "Try again."}},
            "response failed: server_error: Try again.",
        ),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            "response incomplete: max_output_tokens",
        ),
        ({"status": "failed", "error": None}, "response failed"),
        (
            {"status": "failed", "status_details": {"type": "failed", "error": {"type": "x", "code": "no_credit"}}},
            "response failed: no_credit",
        ),
        ({"error": {"code": 502, "message": "Provider disconnected"}, "choices": []}, "502: Provider disconnected"),
        ({"error": "model 'x' not found"}, "model 'x' not found"),
        ({"status": "completed", "error": None}, None),
        ({"status": "in_progress"}, None),
        ({"error": object()}, None),
        (MagicMock(), None),
    ],
)
def test_a_failure_that_the_provider_reports_is_read(response: Any, failure: str | None) -> None:
    for part in (response, {"type": "response.failed", "response": response}):
        call = ModelCall()
        call.read(part)
        assert call.failure == failure


def test_the_raw_response_of_instructor_is_read() -> None:
    class Answer:
        pass

    answer = Answer()
    answer.__dict__["_raw_response"] = whole("openai_chat")
    assert [read(part) for part in model_responses(answer)] == [EXPECTED["openai_chat"]]


def test_each_raw_response_of_an_agent_is_read() -> None:
    class Result:
        raw_responses = [whole("openai_responses"), whole("openai_chat")]  # noqa: RUF012

    assert len([*model_responses(Result())]) == 2


@pytest.mark.parametrize(
    ("chunk", "begins"),
    [
        ({"event": "on_chain_start", "data": {}}, False),
        ({"event": "on_chat_model_stream", "data": {"chunk": {"type": "AIMessageChunk", "content": "42"}}}, False),
        (({"type": "AIMessageChunk", "content": "42"}, {"langgraph_node": "agent"}), False),
        ({"agent": {"messages": ["42"]}}, False),
        ({"type": "raw_response_event", "data": {"type": "response.output_text.delta", "delta": "42"}}, True),
        ({"type": "raw_response_event", "data": {"type": "response.created"}}, False),
        ({"type": "run_item_stream_event", "name": "message_output_created"}, False),
        ({"choices": [{"text": "42"}]}, True),
        ({"response": "42"}, False),
        ({"message": {"content": "42"}}, False),
        ({"delta": "42"}, False),
        ([], False),
        (None, False),
    ],
)
def test_only_text_of_a_known_kind_begins_the_response(chunk: object, begins: bool) -> None:
    assert begins_response(chunk) is begins


def test_an_object_of_llama_index_begins_the_response_with_its_delta() -> None:
    class Piece:
        raw, delta = None, "42"

    assert begins_response(Piece())


def test_fields_are_learned_anew_when_there_are_too_many_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chat_telemetry._observe.fields.MAX_CLASSES", 3)
    fields = Fields("model")
    for number in range(10):
        kind = type(f"Class{number}", (), {"model": str(number)})
        assert fields.of(kind()) == [("model", str(number))]
        assert len(fields._plans) <= 3


@pytest.mark.parametrize(
    "state",
    [
        {"question": "How many?", "error": "no column x"},
        {"status": "failed", "rows": []},
        {"status": "failed", "error": "no column x", "sql": "select x"},
        {"answer": "42", "code": 1, "message": "done"},
    ],
)
def test_the_state_of_an_agent_is_no_failure_of_a_provider(state: object) -> None:
    call = ModelCall()
    call.read(state)
    assert call.failure is None


def test_an_error_event_of_openai_is_a_failure() -> None:
    event = ResponseErrorEvent(type="error", code="server_error", message="Try again.", param=None, sequence_number=3)
    call = ModelCall()
    call.read({"type": "response.created", "response": {"id": "r", "model": "m", "status": "in_progress"}})
    call.read(event)
    assert call.failure == "server_error: Try again."


def test_bedrock_reports_its_cached_tokens_by_two_names() -> None:
    usage = {"inputTokens": 10, "outputTokens": 5, "cacheReadInputTokens": 7, "cacheReadInputTokenCount": 7}
    usage |= {"cacheWriteInputTokens": 2, "cacheWriteInputTokenCount": 2}
    assert read({"usage": usage})[2:] == (19, 5, 7)
