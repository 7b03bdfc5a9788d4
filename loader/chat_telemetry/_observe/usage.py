"""Reads model, response id and tokens from the model responses of OpenAI, Anthropic and Google.

It imports none of their packages. It recognizes OpenAI's Responses and Chat Completions, Anthropic's Messages and
Gemini's generate_content by their fields: whole responses and chunks of streams, as objects or as dicts, for Gemini
also in the camelCase of its wire format.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any


@dataclass(frozen=True)
class UsageFields:
    """The usage that one API reports: the field that identifies it, and the fields that add up to each count."""

    api: str
    identifying_field: str
    input: tuple[str, ...]
    """Together they include cached tokens."""
    output: tuple[str, ...]
    cached: tuple[str, ...]


USAGE_FIELDS = (
    UsageFields(
        "openai_chat",
        "prompt_tokens",
        ("prompt_tokens",),
        ("completion_tokens",),
        ("prompt_tokens_details.cached_tokens",),
    ),
    UsageFields(
        "openai_responses",
        "input_tokens_details.cached_tokens",
        ("input_tokens",),
        ("output_tokens",),
        ("input_tokens_details.cached_tokens",),
    ),
    UsageFields(  # input_tokens are those that neither came from the cache nor went into it
        "anthropic",
        "input_tokens",
        ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"),
        ("output_tokens",),
        ("cache_read_input_tokens",),
    ),
    UsageFields(  # candidates_token_count does not include thoughts_token_count
        "gemini",
        "prompt_token_count",
        ("prompt_token_count", "tool_use_prompt_token_count"),
        ("candidates_token_count", "thoughts_token_count"),
        ("cached_content_token_count",),
    ),
)
_COUNTS = tuple({name: None for fields in USAGE_FIELDS for name in (*fields.input, *fields.output, *fields.cached)})

# Where the events of a stream carry the response: OpenAI's Responses, Anthropic, OpenAI's streaming helper.
_ENVELOPES = ("response", "message", "chunk")
# The events with text for the user, and where in them it is: of OpenAI's Responses, of its streaming helper for Chat
# Completions, of Anthropic and of its streaming helper.
_TEXT_EVENTS = (
    ("response.output_text.delta", "delta"),
    ("response.refusal.delta", "delta"),
    ("content.delta", "delta"),
    ("refusal.delta", "delta"),
    ("content_block_delta", "delta.text"),
    ("text", "text"),
)


@dataclass
class ModelCall:
    """One model call, read from its model response or from those chunks of its stream that have arrived."""

    model: str | None = None
    response_id: str | None = None
    _counts: dict[str, int] = field(default_factory=dict)

    def read(self, part: object) -> None:
        """Read a model response or a chunk. A later chunk overrides an earlier one: streams report running totals."""
        self._read(part)
        for name in _ENVELOPES:
            if (inner := _get(part, name)) is not None:
                self._read(inner)

    @property
    def input_tokens(self) -> int | None:
        """Tokens that the model read, cached ones included. None if the model response does not report them."""
        return self._sum("input")

    @property
    def output_tokens(self) -> int | None:
        """Tokens that the model wrote, hidden reasoning included. None if the model response does not report them."""
        return self._sum("output")

    @property
    def cached_tokens(self) -> int | None:
        """How many of the input tokens came from the provider's cache. 0 if only input tokens are reported."""
        cached = self._sum("cached")
        return 0 if cached is None and self.input_tokens is not None else cached

    def _read(self, part: object) -> None:
        model = _text(part, "model") or _text(part, "model_version")
        if model:
            self.model = model
            self.response_id = _text(part, "id") or _text(part, "response_id") or self.response_id
        usage = _get(part, "usage") or _get(part, "usage_metadata")
        if usage is not None:
            for name in _COUNTS:
                count = _get_path(usage, name)
                if type(count) is int:
                    self._counts[name] = count

    def _sum(self, kind: str) -> int | None:
        fields = next((fields for fields in USAGE_FIELDS if fields.identifying_field in self._counts), None)
        counts = [self._counts[name] for name in getattr(fields, kind, ()) if name in self._counts]
        return sum(counts) if counts else None


def begins_response(chunk: object) -> bool:
    """Whether a chunk of a stream has text for the user.

    Events that announce, reason, call tools or summarize have none. A chunk of an unknown kind counts as text.
    """
    if (kind := _get(chunk, "type")) is not None:
        return any(kind == event and bool(_get_path(chunk, text)) for event, text in _TEXT_EVENTS)
    if (choices := _get(chunk, "choices")) is not None:
        deltas = [_get(choice, "delta") for choice in _items(choices)]
        return any(_text(delta, "content") or _text(delta, "refusal") for delta in deltas)
    if (candidates := _get(chunk, "candidates")) is not None:
        parts = [part for candidate in _items(candidates) for part in _items(_get_path(candidate, "content.parts"))]
        return any(_text(part, "text") and not _get(part, "thought") for part in parts)
    return bool(chunk) and _get(chunk, "usage_metadata") is None


def _get(part: object, name: str) -> Any:
    if isinstance(part, Mapping):
        return part[name] if name in part else part.get(_camel_case(name))
    return getattr(part, name, None)


def _get_path(part: object, path: str) -> Any:
    for name in path.split("."):
        part = _get(part, name)
    return part


def _text(part: object, name: str) -> str | None:
    value = _get(part, name)
    return value if isinstance(value, str) else None


def _items(value: object) -> Iterable[Any]:
    return value if isinstance(value, list | tuple) else ()


@cache
def _camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)
