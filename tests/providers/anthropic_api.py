"""Anthropic's Messages, as the local provider writes them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.providers.model import Call, Reply, Request, Tool
from tests.providers.sse import Event, pieces

WRITTEN_TO_CACHE = 100
"""How many input tokens go into the cache. `input_tokens` of the API are those that neither went in nor came out."""


def read(path: str, body: Mapping[str, Any]) -> Request:
    tools = [Tool(tool["name"], tool.get("input_schema", {})) for tool in body.get("tools") or ()]
    forced = (body.get("tool_choice") or {}).get("name")
    return Request(body["model"], bool(body.get("stream")), body, tools, forced)


def whole(call: Call, reply: Reply) -> dict[str, Any]:
    usage = {**_input_usage(call), "output_tokens": call.output_tokens, "service_tier": "standard"}
    return _message(call, [_block(call, reply)], _stop_reason(reply), usage)


def events(call: Call, reply: Reply, request: Request) -> Iterator[Event]:
    yield _event("message_start", message=_message(call, [], None, {**_input_usage(call), "output_tokens": 1}))
    yield _event("content_block_start", index=0, content_block=_empty_block(call, reply))
    if reply.tool:
        delta = {"type": "input_json_delta", "partial_json": json.dumps(reply.arguments)}
        yield _event("content_block_delta", index=0, delta=delta)
    for piece in pieces(reply.text):
        delta = {"type": "text_delta", "text": piece}
        yield Event({"type": "content_block_delta", "index": 0, "delta": delta}, "content_block_delta", is_text=True)
    yield _event("content_block_stop", index=0)
    stop = {"stop_reason": _stop_reason(reply), "stop_sequence": None}
    yield _event("message_delta", delta=stop, usage={"output_tokens": call.output_tokens})
    yield _event("message_stop")


def error(status: int) -> dict[str, Any]:
    return {"type": "error", "error": {"type": "api_error", "message": f"refused with {status}"}}


def _event(kind: str, **fields: object) -> Event:
    return Event({"type": kind, **fields}, kind)


def _message(
    call: Call, content: list[dict[str, Any]], stop_reason: str | None, usage: dict[str, Any]
) -> dict[str, Any]:
    return {
        "id": call.response_id,
        "type": "message",
        "role": "assistant",
        "model": call.model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": usage,
    }


def _block(call: Call, reply: Reply) -> dict[str, Any]:
    if reply.tool:
        return {"type": "tool_use", "id": f"toolu_{call.number:04}", "name": reply.tool, "input": dict(reply.arguments)}
    return {"type": "text", "text": reply.text}


def _empty_block(call: Call, reply: Reply) -> dict[str, Any]:
    return {**_block(call, reply), **({"input": {}} if reply.tool else {"text": ""})}


def _stop_reason(reply: Reply) -> str:
    return "tool_use" if reply.tool else "end_turn"


def _input_usage(call: Call) -> dict[str, Any]:
    return {
        "input_tokens": call.input_tokens - call.cached_tokens - WRITTEN_TO_CACHE,
        "cache_creation_input_tokens": WRITTEN_TO_CACHE,
        "cache_read_input_tokens": call.cached_tokens,
    }
