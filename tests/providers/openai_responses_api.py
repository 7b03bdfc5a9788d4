"""OpenAI's Responses, as the local provider writes them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.providers.model import Call, Reply, Request, Tool
from tests.providers.sse import Event, pieces


def read(path: str, body: Mapping[str, Any]) -> Request:
    tools = [Tool(tool["name"], tool.get("parameters") or {}) for tool in body.get("tools") or () if "name" in tool]
    choice, output = body.get("tool_choice"), body.get("text") or {}
    forced = choice.get("name") if isinstance(choice, dict) else None
    return Request(body["model"], bool(body.get("stream")), body, tools, forced, output.get("format", {}).get("schema"))


def whole(call: Call, reply: Reply) -> dict[str, Any]:
    return _response(call, "completed", [_item(call, reply, "completed")], _usage(call))


def failed(call: Call) -> dict[str, Any]:
    error = {"code": "server_error", "message": "The model failed."}
    return {**_response(call, "failed", [], None), "error": error}


def events(call: Call, reply: Reply, request: Request) -> Iterator[Event]:
    for number, (kind, fields, is_text) in enumerate(_steps(call, reply)):
        yield Event({"type": kind, "sequence_number": number, **fields}, kind, is_text)


def failed_events(call: Call) -> Iterator[Event]:
    for number, (kind, response) in enumerate(
        [("response.created", _response(call, "in_progress", [], None)), ("response.failed", failed(call))]
    ):
        yield Event({"type": kind, "sequence_number": number, "response": response}, kind)


def error(status: int) -> dict[str, Any]:
    return {"error": {"message": f"refused with {status}", "type": "server_error", "param": None, "code": None}}


def _steps(call: Call, reply: Reply) -> Iterator[tuple[str, dict[str, Any], bool]]:
    item, started = _item(call, reply, "completed"), _item(call, reply, "in_progress")
    place = {"item_id": item["id"], "output_index": 0}
    yield "response.created", {"response": _response(call, "in_progress", [], None)}, False
    yield "response.in_progress", {"response": _response(call, "in_progress", [], None)}, False
    yield "response.output_item.added", {"output_index": 0, "item": started}, False
    if reply.tool:
        arguments = item["arguments"]
        yield "response.function_call_arguments.delta", {**place, "delta": arguments}, False
        yield "response.function_call_arguments.done", {**place, "arguments": arguments, "name": reply.tool}, False
    else:
        yield from _text_steps({**place, "content_index": 0}, reply.text)
    yield "response.output_item.done", {"output_index": 0, "item": item}, False
    yield "response.completed", {"response": whole(call, reply)}, False


def _text_steps(place: dict[str, Any], text: str) -> Iterator[tuple[str, dict[str, Any], bool]]:
    yield "response.content_part.added", {**place, "part": _part("")}, False
    for piece in pieces(text):
        yield "response.output_text.delta", {**place, "delta": piece, "logprobs": []}, True
    yield "response.output_text.done", {**place, "text": text, "logprobs": []}, False
    yield "response.content_part.done", {**place, "part": _part(text)}, False


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _item(call: Call, reply: Reply, status: str) -> dict[str, Any]:
    done = status == "completed"
    if reply.tool:
        arguments = json.dumps(reply.arguments) if done else ""
        ids = {"id": f"fc_{call.number:04}", "call_id": f"call_{call.number:04}"}
        return {**ids, "type": "function_call", "name": reply.tool, "arguments": arguments, "status": status}
    content = [_part(reply.text)] if done else []
    return {"id": f"msg_{call.number:04}", "type": "message", "status": status, "role": "assistant", "content": content}


def _response(call: Call, status: str, output: list[dict[str, Any]], usage: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "id": call.response_id,
        "object": "response",
        "created_at": 1763885460,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "model": call.model,
        "output": output,
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": usage,
        "metadata": {},
    }


def _usage(call: Call) -> dict[str, Any]:
    return {
        "input_tokens": call.input_tokens,
        "input_tokens_details": {"cached_tokens": call.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": call.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 5},
        "total_tokens": call.input_tokens + call.output_tokens,
    }
