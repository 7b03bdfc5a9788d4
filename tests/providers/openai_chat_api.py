"""OpenAI's Chat Completions, as the local provider writes them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.providers.model import Call, Reply, Request, Tool
from tests.providers.sse import Event, pieces


def read(path: str, body: Mapping[str, Any]) -> Request:
    tools = [Tool(tool["function"]["name"], tool["function"].get("parameters", {})) for tool in body.get("tools") or ()]
    choice, output = body.get("tool_choice"), body.get("response_format") or {}
    forced = choice["function"]["name"] if isinstance(choice, dict) and "function" in choice else None
    schema = output.get("json_schema", {}).get("schema")
    return Request(body["model"], bool(body.get("stream")), body, tools, forced, schema)


def whole(call: Call, reply: Reply) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None, "refusal": None}
    if reply.tool:
        message["tool_calls"] = [_tool_call(call, reply)]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish_reason(reply)}
    return {**_head(call, "chat.completion"), "choices": [choice], "usage": _usage(call)}


def events(call: Call, reply: Reply, request: Request) -> Iterator[Event]:
    yield _chunk(call, {"role": "assistant", "content": None if reply.tool else "", "refusal": None})
    if reply.tool:
        tool_call = _tool_call(call, reply)
        arguments = tool_call["function"]["arguments"]
        first = {**tool_call, "function": {"name": reply.tool, "arguments": ""}}
        yield _chunk(call, {"tool_calls": [{"index": 0, **first}]})
        yield _chunk(call, {"tool_calls": [{"index": 0, "function": {"arguments": arguments}}]})
    for piece in pieces(reply.text):
        yield _chunk(call, {"content": piece}, is_text=True)
    yield _chunk(call, {}, finish_reason=_finish_reason(reply))
    if (request.body.get("stream_options") or {}).get("include_usage"):
        yield Event({**_head(call, "chat.completion.chunk"), "choices": [], "usage": _usage(call)})
    yield Event("[DONE]")


def error(status: int) -> dict[str, Any]:
    return {"error": {"message": f"refused with {status}", "type": "server_error", "param": None, "code": None}}


def _head(call: Call, kind: str) -> dict[str, Any]:
    return {"id": call.response_id, "object": kind, "created": 1763885462, "model": call.model}


def _chunk(call: Call, delta: dict[str, Any], finish_reason: str | None = None, *, is_text: bool = False) -> Event:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return Event({**_head(call, "chat.completion.chunk"), "choices": [choice], "usage": None}, is_text=is_text)


def _tool_call(call: Call, reply: Reply) -> dict[str, Any]:
    function = {"name": reply.tool, "arguments": json.dumps(reply.arguments)}
    return {"id": f"call_{call.number:04}", "type": "function", "function": function}


def _finish_reason(reply: Reply) -> str:
    return "tool_calls" if reply.tool else "stop"


def _usage(call: Call) -> dict[str, Any]:
    return {
        "prompt_tokens": call.input_tokens,
        "completion_tokens": call.output_tokens,
        "total_tokens": call.input_tokens + call.output_tokens,
        "prompt_tokens_details": {"cached_tokens": call.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 5, "audio_tokens": 0},
    }
