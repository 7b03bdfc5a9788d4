"""Streams of agents hold several model responses, which another source may read one by one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from chat_telemetry.integrations.opentelemetry import ChatSpanProcessor
from tests.loader.observe.conftest import Kept, observe


def events(response_id: str, tokens: int, status: str | None = "completed") -> list[Any]:
    """The first and the last event of a response, as openai-agents wraps them."""
    usage = {"input_tokens": tokens, "input_tokens_details": {"cached_tokens": 1}, "output_tokens": 2}
    response = {"id": response_id, "model": "gpt-4o-mini"}
    created = {"type": "response.created", "response": response}
    completed = {"type": "response.completed", "response": {**response, "status": status, "usage": usage}}
    return [SimpleNamespace(type="raw_response_event", data=data) for data in (created, completed)]


def span(number: int, status: str = "UNSET", **attributes: Any) -> Any:
    named = {name.replace("__", "."): value for name, value in attributes.items()}
    return SimpleNamespace(
        context=SimpleNamespace(span_id=number),
        parent=None,
        status=SimpleNamespace(status_code=SimpleNamespace(name=status)),
        attributes={"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", **named},
    )


@pytest.mark.parametrize(("ids", "status"), [(("a", "b"), "completed"), (("__fake_id__", "__fake_id__"), None)])
def test_the_responses_of_one_stream_add_up(kept: Kept, ids: tuple[str, str], status: str | None) -> None:
    with observe(kept) as chat:
        list(chat.stream([*events(ids[0], 100, status), *events(ids[1], 30, status)]))
    (record,) = kept.records
    assert (record.response_input_tokens, record.response_cached_tokens, record.response_output_tokens) == (130, 2, 4)
    assert record.response_id == (None if status is None else "b")


@pytest.mark.parametrize("has_id", [True, False])
def test_each_response_of_a_stream_that_spans_repeat_counts_once(kept: Kept, has_id: bool) -> None:
    processor = ChatSpanProcessor()
    with observe(kept) as chat:
        list(chat.stream([*events("a", 100), *events("b", 30)]))
        for number, (response_id, tokens) in enumerate([("a", 100), ("b", 30), ("c", 7)]):
            counts: dict[str, Any] = {"gen_ai__usage__input_tokens": tokens, "gen_ai__usage__output_tokens": 2}
            ended = span(number, **counts, **({"gen_ai__response__id": response_id} if has_id else {}))
            processor.on_start(ended)
            processor.on_end(ended)
    (record,) = kept.records
    assert (record.response_input_tokens, record.response_output_tokens) == (137, 6)


def test_the_events_of_langchain_are_left_to_its_callbacks(kept: Kept) -> None:
    chunk = {"type": "AIMessageChunk", "content": "There", "usage_metadata": {"input_tokens": 9, "output_tokens": 1}}
    with observe(kept) as chat:
        list(chat.stream([{"event": "on_chat_model_stream", "data": {"chunk": chunk}}]))
    (record,) = kept.records
    assert (record.response_model, record.response_input_tokens, record.ttfb_ms) == (None, None, None)


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        (span(1, "ERROR"), (None, None)),
        (span(1, "ERROR", llm__model_name="gpt-4o"), (None, None)),
        (span(1, "ERROR", gen_ai__response__id="a"), ("gpt-4o", None)),
        (span(1, "ERROR", gen_ai__usage__input_tokens=7), ("gpt-4o", 7)),
        (span(1, gen_ai__response__model="gpt-4o-2024-08-06"), ("gpt-4o-2024-08-06", None)),
    ],
)
def test_a_refused_call_leaves_no_model(kept: Kept, ended: Any, expected: tuple[str | None, int | None]) -> None:
    processor = ChatSpanProcessor()
    with observe(kept):
        processor.on_start(ended)
        processor.on_end(ended)
    (record,) = kept.records
    assert (record.response_model, record.response_input_tokens) == expected
