"""Spans as instrumentations make them; tests/integrations has the packages that do."""

from __future__ import annotations

from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from chat_telemetry import TelemetryRecord, observe_chat
from chat_telemetry._observe.chat import ObservedChat
from chat_telemetry.integrations import _running
from chat_telemetry.integrations.opentelemetry import ChatSpanProcessor
from tests.loader.conftest import USER

ids = count(1)
GEN_AI = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.response.id": "chatcmpl-1",
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 7,
    "gen_ai.usage.cache_read.input_tokens": 60,
}
OPENINFERENCE = {
    "openinference.span.kind": "LLM",
    "llm.model_name": "gpt-4o-2024-08-06",
    "llm.token_count.prompt": 100,
    "llm.token_count.completion": 7,
    "llm.token_count.prompt_details.cache_read": 60,
}
READ = ("gpt-4o-2024-08-06", 100, 7, 60)


def span(attributes: dict[str, Any] | None = None, parent: Any = None) -> Any:
    context = SimpleNamespace(span_id=next(ids))
    status = SimpleNamespace(status_code=SimpleNamespace(name="UNSET"))
    return SimpleNamespace(
        context=context, parent=parent.context if parent else None, attributes=attributes or {}, status=status
    )


def run(processor: ChatSpanProcessor, *spans: Any) -> None:
    """Start the spans, the outer one first, and end them in the opposite order."""
    for started in spans:
        processor.on_start(started)
    for ended in reversed(spans):
        processor.on_end(ended)


class Chats:
    """Observed chats, and what their records say."""

    def __init__(self) -> None:
        self.records: list[TelemetryRecord] = []

    def persist(self, record: TelemetryRecord) -> bool:
        self.records.append(record)
        return True

    def observe(self) -> ObservedChat:
        client: Any = self
        return observe_chat(user_id=USER, user_question="?", client=client)

    def counted(self, prefix: str) -> tuple[Any, ...]:
        columns = ("model", "input_tokens", "output_tokens", "cached_tokens")
        return tuple(getattr(self.records[-1], f"{prefix}_{column}") for column in columns)


@pytest.fixture
def chats() -> Chats:
    return Chats()


NOTHING = (None, None, None, None)


@pytest.mark.parametrize("attributes", [GEN_AI, OPENINFERENCE], ids=["gen_ai", "openinference"])
def test_a_span_counts_for_the_step_in_which_it_started(chats: Chats, attributes: dict[str, Any]) -> None:
    processor, call = ChatSpanProcessor(), span(attributes)
    with chats.observe() as chat:
        with chat.step("nl_to_sql"):
            processor.on_start(call)
        processor.on_end(call)
    assert (chats.counted("sql"), chats.counted("response")) == (READ, NOTHING)


def test_the_response_id_is_kept(chats: Chats) -> None:
    with chats.observe():
        run(ChatSpanProcessor(), span(GEN_AI))
    assert (chats.counted("response"), chats.records[0].response_id) == (READ, "chatcmpl-1")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("gen_ai.usage.prompt_tokens", "gen_ai.usage.input_tokens"),
        ("gen_ai.usage.completion_tokens", "gen_ai.usage.output_tokens"),
        ("gen_ai.usage.cache_read_input_tokens", "gen_ai.usage.cache_read.input_tokens"),
    ],
)
def test_older_names_of_the_conventions_are_read(chats: Chats, old: str, new: str) -> None:
    with chats.observe():
        run(ChatSpanProcessor(), span({old if name == new else name: value for name, value in GEN_AI.items()}))
    assert chats.counted("response") == READ


def test_a_span_without_cached_tokens_has_no_number_of_them(chats: Chats) -> None:
    without = {name: value for name, value in GEN_AI.items() if "cache" not in name}
    with chats.observe():
        run(ChatSpanProcessor(), span(without))
    assert chats.counted("response") == (*READ[:3], None)


@pytest.mark.parametrize(
    "attributes",
    [
        {**GEN_AI, "gen_ai.operation.name": "embeddings"},
        {**GEN_AI, "gen_ai.operation.name": "invoke_agent"},
        {**GEN_AI, "gen_ai.operation.name": "execute_tool"},
        {**OPENINFERENCE, "openinference.span.kind": "EMBEDDING"},
        {**OPENINFERENCE, "openinference.span.kind": "CHAIN"},
        {"llm.request.type": "embedding", "gen_ai.request.model": "embedder", "gen_ai.usage.prompt_tokens": 8},
        {"llm.request.type": "rerank", "gen_ai.request.model": "ranker"},
        {"gen_ai.agent.name": "analyst", "gen_ai.usage.input_tokens": 8},
        {"traceloop.span.kind": "workflow", "gen_ai.usage.input_tokens": 8},
        {"http.method": "POST"},
        {},
        None,
    ],
)
def test_spans_of_anything_else_are_not_counted(chats: Chats, attributes: Any) -> None:
    with chats.observe():
        run(ChatSpanProcessor(), span(attributes))
    assert chats.counted("response") == NOTHING


def test_a_span_that_repeats_the_call_of_a_span_below_it_is_not_counted(chats: Chats) -> None:
    agent = span({**GEN_AI, "gen_ai.operation.name": "invoke_agent"})
    framework = span({**GEN_AI, "gen_ai.response.id": "lc_run"}, parent=agent)
    http = span({"http.method": "POST"}, parent=framework)
    call = span(GEN_AI, parent=http)
    with chats.observe():
        run(ChatSpanProcessor(), agent, framework, http, call)
    assert chats.counted("response") == READ


def test_two_calls_below_one_span_add_up(chats: Chats) -> None:
    processor, agent = ChatSpanProcessor(), span()
    with chats.observe():
        processor.on_start(agent)
        for number in range(2):
            run(processor, span({**GEN_AI, "gen_ai.response.id": f"chatcmpl-{number}"}, parent=agent))
        processor.on_end(agent)
    assert chats.counted("response") == (READ[0], 200, 14, 120)


@pytest.mark.parametrize("attributes", [GEN_AI, OPENINFERENCE], ids=["with an id", "without an id"])
def test_a_call_that_chat_code_hands_over_as_well_is_counted_once(chats: Chats, attributes: dict[str, Any]) -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 60}}
    with chats.observe() as chat:
        run(ChatSpanProcessor(), span(attributes))
        chat.usage({"id": "chatcmpl-1", "model": "gpt-4o-2024-08-06", "usage": usage})
    assert chats.counted("response") == READ


def test_spans_outside_of_a_chat_are_ignored() -> None:
    processor = ChatSpanProcessor()
    run(processor, span(GEN_AI))
    assert not processor._started


def test_a_span_that_ends_after_its_chat_changes_nothing(chats: Chats) -> None:
    processor, call = ChatSpanProcessor(), span(GEN_AI)
    with chats.observe():
        processor.on_start(call)
    processor.on_end(call)
    assert chats.counted("response") == NOTHING


def test_spans_that_never_end_are_forgotten(chats: Chats, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_running, "MOST", 3)
    processor = ChatSpanProcessor()
    with chats.observe():
        spans = [span(GEN_AI) for _ in range(5)]
        for started in spans:
            processor.on_start(started)
        assert len(processor._started) == 3
        processor.on_end(spans[0])
        processor.shutdown()
        processor.on_end(spans[4])
    assert chats.counted("response") == NOTHING
    assert processor.force_flush()


def test_a_span_of_another_kind_raises_nothing(chats: Chats) -> None:
    with chats.observe():
        ChatSpanProcessor().on_start(object())
        ChatSpanProcessor().on_end(object())
    assert len(chats.records) == 1


USAGE = {"prompt_tokens": 100, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 60}}


def test_a_call_with_another_id_of_its_framework_is_counted_once(chats: Chats) -> None:
    with chats.observe() as chat:
        run(ChatSpanProcessor(), span(GEN_AI))
        chat.usage({"id": "chatcmpl-of-litellm", "model": "gpt-4o", "usage": USAGE})
    assert chats.counted("response")[1:] == READ[1:]


def test_two_processors_count_a_call_once(chats: Chats) -> None:
    call = span(GEN_AI)
    with chats.observe():
        for processor in (ChatSpanProcessor(), ChatSpanProcessor()):
            run(processor, call)
    assert chats.counted("response") == READ


def test_what_only_the_span_knows_is_taken_over(chats: Chats) -> None:
    with chats.observe() as chat:
        run(ChatSpanProcessor(), span(GEN_AI))
        chat.usage({"response_id": "chatcmpl-1", "usage": USAGE})
    assert chats.counted("response") == READ
    with chats.observe() as chat:
        run(ChatSpanProcessor(), span(GEN_AI))
        list(chat.stream([{"id": "chatcmpl-1", "model": "gpt-4o-2024-08-06", "choices": []}]))
    assert chats.counted("response") == READ


def test_one_response_of_chat_code_is_the_same_as_one_span_only(chats: Chats) -> None:
    processor = ChatSpanProcessor()
    with chats.observe() as chat:
        run(processor, span(OPENINFERENCE))
        run(processor, span(OPENINFERENCE))
        chat.usage({"id": "chatcmpl-1", "model": "gpt-4o-2024-08-06", "usage": USAGE})
    assert chats.counted("response") == (READ[0], 200, 14, 120)


def test_the_last_model_is_that_of_the_last_call_whoever_read_it(chats: Chats) -> None:
    with chats.observe() as chat:
        run(ChatSpanProcessor(), span(GEN_AI))
        chat.usage({"id": "another", "model": "the-last-one", "usage": {"prompt_tokens": 1, "completion_tokens": 2}})
    assert chats.counted("response") == ("the-last-one", 101, 9, 60)
