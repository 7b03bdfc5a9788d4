"""Whether a chunk of a stream has text for the user, so that it is the first byte of the response."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chat_telemetry._observe.fields import at, items, text_at

# The types of events and chunks with text for the user, and where in them it is. All other types have none: they
# announce, reason, call tools, summarize, or belong to an agent, whose texts are not all for the user.
_TEXT_IN_TYPES = {
    "response.output_text.delta": ("delta",),  # OpenAI, Responses
    "response.refusal.delta": ("delta",),
    "content.delta": ("delta",),  # OpenAI, the streaming helper for Chat Completions
    "refusal.delta": ("delta",),
    "content_block_delta": ("delta.text",),  # Anthropic
    "text": ("text",),  # Anthropic, the streaming helper
    "content-delta": ("delta.message.content.text",),  # Cohere
    "AIMessageChunk": ("content",),  # LangChain
}
# pydantic-ai's events have a kind and a part; a part has a kind, and its text.
_PARTS = {"part_start": "part", "part_delta": "delta"}
_TEXT_IN_PARTS = (("part_kind", "content"), ("part_delta_kind", "content_delta"))
_TEXT_IN_CHOICES = ("delta.content", "delta.refusal", "text")  # OpenAI's Chat Completions and Completions
# For chunks without a type: a field that they have, and where the text is.
_TEXT_WITHOUT_TYPE = (
    ("contentBlockDelta", "contentBlockDelta.delta.text"),  # Bedrock
    ("created_at", "message.content"),  # Ollama, chat
    ("created_at", "response"),  # Ollama, generate
    ("raw", "delta"),  # llama-index
)


def begins_response(chunk: Any) -> bool:
    """Whether a chunk has text for the user. A chunk of an unknown kind has none."""
    if isinstance(chunk, str | bytes):
        return bool(chunk)
    if at(chunk, "type") == "raw_response_event":  # openai-agents
        chunk = at(chunk, "data")
    return any(map(_has_text, _texts(chunk)))


def _texts(chunk: Any) -> list[Any]:
    """What a chunk holds at those places where chunks of its kind hold text."""
    if isinstance(kind := at(chunk, "type"), str):
        return [at(chunk, path) for path in _TEXT_IN_TYPES.get(kind, ())]
    if isinstance(kind := at(chunk, "event_kind"), str):
        part = at(chunk, _PARTS.get(kind, ""))
        return [at(part, path) for mark, path in _TEXT_IN_PARTS if at(part, mark) == "text"]
    if (choices := at(chunk, "choices")) is not None:
        return [at(choice, path) for choice in items(choices) for path in _TEXT_IN_CHOICES]
    if (candidates := at(chunk, "candidates")) is not None:
        parts = [part for candidate in items(candidates) for part in items(at(candidate, "content.parts"))]
        return [at(part, "text") for part in parts if not at(part, "thought")]
    return [at(chunk, path) for mark, path in _TEXT_WITHOUT_TYPE if _has(chunk, mark)]


def _has(chunk: Any, name: str) -> bool:
    return name in chunk if isinstance(chunk, Mapping) else hasattr(chunk, name)


def _has_text(content: Any) -> bool:
    """A text, or a list of blocks of which one is a text."""
    if isinstance(content, str):
        return bool(content)
    return any(isinstance(item, str) or text_at(item, "text") is not None for item in items(content))
