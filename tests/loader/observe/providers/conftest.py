"""What the tests of providers share: captures of their model responses, and what is read from them."""

from __future__ import annotations

import json
from typing import Any

from chat_telemetry._observe.first_text import begins_response
from chat_telemetry._observe.usage import ModelCall
from tests.providers import WIRE

Read = tuple[str | None, str | None, int | None, int | None, int | None]
"""Model, response id, input, output and cached tokens."""

EXPECTED: dict[str, Read] = {api: tuple(read) for api, read in json.loads((WIRE / "expected.json").read_text()).items()}
MESSAGES: Any = [{"role": "user", "content": "How many orders?"}]


def whole(api: str) -> Any:
    """A captured model response as a dict."""
    return json.loads((WIRE / f"{api}.json").read_text())


def chunks(api: str) -> list[Any]:
    """The chunks of a captured stream as dicts."""
    lines = (WIRE / f"{api}.sse").read_text().splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")]


def read(*parts: object) -> Read:
    call = ModelCall()
    for part in parts:
        call.read(part)
    return call.model, call.response_id, *call.tokens()


def first_with_text(parts: list[Any]) -> Any:
    return next(part for part in parts if begins_response(part))


def first_text_at(parts: list[Any]) -> int:
    """The position of the first chunk with text."""
    return [begins_response(part) for part in parts].index(True)
