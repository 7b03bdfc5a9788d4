"""Model calls from the spans of OpenTelemetry, for frameworks that keep their model responses to themselves.

from chat_telemetry.integrations.opentelemetry import ChatSpanProcessor
tracer_provider.add_span_processor(ChatSpanProcessor())

It reads the spans of the GenAI semantic conventions (`gen_ai.*`) and of OpenInference (`llm.*`): those of the
instrumentations of provider packages, and those that frameworks make themselves. They count for the chat request and
the step in which the span started. It reads no texts.
"""

from __future__ import annotations

from typing import Any

from chat_telemetry._observe.advice import unfailing
from chat_telemetry._observe.chat import ObservedChat, current
from chat_telemetry.integrations._running import Running

# Operations of the GenAI conventions that call a chat model. The spans of agents repeat the sums of their model calls,
# and embeddings are priced as another model. Spans of conventions before 1.27 name no operation.
_OPERATIONS = {None, "chat", "text_completion", "generate_content"}
_MODEL = ("gen_ai.response.model", "llm.model_name", "gen_ai.request.model")
_RESPONSE_ID = ("gen_ai.response.id",)
_INPUT = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "llm.token_count.prompt",
    "llm.usage.prompt_tokens",
)
_OUTPUT = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.token_count.completion",
    "llm.usage.completion_tokens",
)
_CACHED = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.cached_tokens",
    "llm.token_count.prompt_details.cache_read",
)


class _Started:
    """A span that has started in a chat request."""

    __slots__ = ("chat", "has_model_call", "parent", "step")

    def __init__(self, chat: ObservedChat, parent: int | None) -> None:
        self.chat = chat
        self.step = chat.step_here()
        self.parent = parent
        self.has_model_call = False
        """Whether a span below it was read. Frameworks and the packages below them make a span each for one call."""


class ChatSpanProcessor:
    """A span processor for the tracer provider of `opentelemetry-sdk`. It exports nothing and never raises.

    Spans that start outside of `observe_chat` are ignored. A span that repeats the model call of a span below it, or
    that of a response that chat code hands to `chat.usage` or `chat.stream`, is counted once.
    """

    def __init__(self) -> None:
        self._started: Running[int, _Started] = Running()

    @unfailing
    def on_start(self, span: Any, parent_context: object = None) -> None:
        """Note in which chat request and step the span starts."""
        chat = current()
        if chat is not None:
            parent = span.parent.span_id if span.parent is not None else None
            self._started.start(span.context.span_id, _Started(chat, parent))

    @unfailing
    def on_end(self, span: Any) -> None:
        """Read model, response id and tokens, if the span is of a model call."""
        started = self._started.end(span.context.span_id)
        if started is not None:
            self._read(started, dict(span.attributes or {}), has_failed=_has_failed(span))

    def _on_ending(self, span: object) -> None:
        """The SDK calls it before `on_end`."""

    def shutdown(self) -> None:
        """Forget the spans that have not ended."""
        self._started.clear()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits here: `chat_telemetry.flush` waits for the records."""
        return True

    def _read(self, started: _Started, attributes: dict[str, Any], *, has_failed: bool) -> None:
        if started.has_model_call or not _is_model_call(attributes):
            return
        # A call that the provider refused has no tokens, and at most the model that was asked for.
        if has_failed and _first(attributes, (*_RESPONSE_ID, *_INPUT, *_OUTPUT)) is None:
            return
        usage: dict[str, Any] = {
            "input_tokens": _first(attributes, _INPUT),
            "output_tokens": _first(attributes, _OUTPUT),
        }
        cached = _first(attributes, _CACHED)
        if cached is not None:
            usage["input_tokens_details"] = {"cached_tokens": cached}
        model, response_id = _first(attributes, _MODEL), _first(attributes, _RESPONSE_ID)
        call = started.chat.new_call("opentelemetry", started.step)
        call.read({"model": model, "response_id": response_id, "usage": usage})
        parent = self._started.get(started.parent)
        while parent is not None:
            parent.has_model_call = True
            parent = self._started.get(parent.parent)


def _is_model_call(attributes: dict[str, Any]) -> bool:
    kind = attributes.get("openinference.span.kind")
    if kind is not None:
        return bool(kind == "LLM")
    request = attributes.get("llm.request.type")  # of instrumentations that name no operation
    if request not in {None, "chat", "completion"} or "traceloop.span.kind" in attributes:
        return False
    if "gen_ai.operation.name" not in attributes and "gen_ai.agent.name" in attributes:
        return False
    is_known = any(name in attributes for name in (*_MODEL, *_INPUT, *_OUTPUT))
    return is_known and attributes.get("gen_ai.operation.name") in _OPERATIONS


def _has_failed(span: Any) -> bool:
    return getattr(span.status.status_code, "name", None) == "ERROR"


def _first(attributes: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((attributes[name] for name in names if attributes.get(name) is not None), None)
