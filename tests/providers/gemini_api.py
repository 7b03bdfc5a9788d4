"""Gemini's generateContent and streamGenerateContent, as the local provider writes them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.providers.model import Call, Reply, Request, Tool
from tests.providers.sse import Event, pieces

PATH = re.compile(r"/models/([^/:]+):(stream)?")
# Tokens that the API reports apart: thoughts are output, the results of tools are input.
THOUGHTS = 5
TOOL_RESULTS = 10


def read(path: str, body: Mapping[str, Any]) -> Request:
    found = PATH.search(path)
    assert found
    declared = [each for tool in body.get("tools") or () for each in _camel(tool, "functionDeclarations") or ()]
    return Request(found[1], found[2] is not None, body, [Tool(each["name"], _schema(each)) for each in declared])


def whole(call: Call, reply: Reply) -> dict[str, Any]:
    part: dict[str, Any] = {"text": reply.text}
    if reply.tool:
        part = {"functionCall": {"name": reply.tool, "args": dict(reply.arguments)}}
    return _response(call, [part], _usage(call), finish_reason="STOP")


def events(call: Call, reply: Reply, request: Request) -> Iterator[Event]:
    if reply.tool:
        yield Event(whole(call, reply))
        return
    prompt = {"promptTokenCount": call.input_tokens - TOOL_RESULTS}
    yield Event(_response(call, [{"text": "Counting.", "thought": True}], prompt))
    *before, last = pieces(reply.text)
    for piece in before:
        yield Event(_response(call, [{"text": piece}], {**prompt, "candidatesTokenCount": 1}), is_text=True)
    yield Event(_response(call, [{"text": last}], _usage(call), finish_reason="STOP"), is_text=True)


def error(status: int) -> dict[str, Any]:
    return {"error": {"code": status, "message": f"refused with {status}", "status": "INTERNAL"}}


def _schema(declared: Mapping[str, Any]) -> Mapping[str, Any]:
    return declared.get("parameters") or _camel(declared, "parametersJsonSchema") or {}


def _camel(part: Mapping[str, Any], name: str) -> Any:
    """The value of a camelCase name, which some packages write in snake_case."""
    return part.get(name) or part.get(re.sub(r"([A-Z])", r"_\1", name).lower())


def _response(
    call: Call, parts: list[dict[str, Any]], usage: dict[str, Any], finish_reason: str | None = None
) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if finish_reason:
        candidate["finishReason"] = finish_reason
    ids = {"modelVersion": call.model, "responseId": call.response_id}
    return {"candidates": [candidate], "usageMetadata": usage, **ids}


def _usage(call: Call) -> dict[str, Any]:
    return {
        "promptTokenCount": call.input_tokens - TOOL_RESULTS,
        "toolUsePromptTokenCount": TOOL_RESULTS,
        "cachedContentTokenCount": call.cached_tokens,
        "candidatesTokenCount": call.output_tokens - THOUGHTS,
        "thoughtsTokenCount": THOUGHTS,
        "totalTokenCount": call.input_tokens + call.output_tokens,
    }
