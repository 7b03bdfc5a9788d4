"""What the local model replies, and the log of its calls: what a record has to say about them."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

SQL = "select 6 * 7 as orders"
RESPONSE_TEXT = "There were 42 orders."
LONGEST_WAIT = 5.0
"""In seconds. A client that has not seen a text by then does not look at the texts of this stream."""
SEEN_RESULT = re.compile(r"(?<![0-9a-f-])42(?![0-9a-f-])")
"""What only the result of the query has, and no identifier. A model that has not seen it writes the query."""


@dataclass(frozen=True)
class Tool:
    """A function that the request offers, with the JSON schema of its arguments."""

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True)
class Request:
    """What the model needs of a request, whatever its API."""

    model: str
    is_stream: bool
    body: Mapping[str, Any]
    tools: list[Tool]
    forced_tool: str | None = None
    """The name of the tool that the model must call, whatever it knows."""
    text_schema: Mapping[str, Any] | None = None
    """The JSON schema of the text that the model must write."""


@dataclass(frozen=True)
class Reply:
    """A text, or the call of a tool with its arguments."""

    text: str = ""
    tool: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Call:
    """One model call as the provider knows it. `input_tokens` include `cached_tokens`."""

    api: str
    number: int
    response_id: str
    model: str
    is_stream: bool
    status: int = 200
    text_at: list[float] = field(default_factory=list)
    """`time.perf_counter()` just before each text of a stream is sent, and before the stream is cut."""

    @property
    def input_tokens(self) -> int:
        return 2_000 + 101 * self.number

    @property
    def output_tokens(self) -> int:
        return 30 + 7 * self.number

    @property
    def cached_tokens(self) -> int:
        return 512 + 11 * self.number


@dataclass(frozen=True)
class Status:
    """A failure: the provider refuses the call with this HTTP status."""

    code: int


@dataclass(frozen=True)
class Cut:
    """A failure: the provider closes the connection in the middle of the stream, after the first text."""


@dataclass(frozen=True)
class Failed:
    """A failure of OpenAI's Responses only: the response ends with the status `failed`."""


Failure = Status | Cut | Failed


class Model:
    """A scripted model. Its settings and its log belong to one test."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        """The calls that were answered or refused, in the order in which they arrived."""
        self.failures: list[Failure | None] = []
        """What happens to the next calls; None is a success. A call after them succeeds."""
        self.seconds_to_text = 0.0
        """The wait of a stream before its first text. With none, all texts come at once."""
        self.has_arrived: Callable[[], bool] = lambda: True
        """Whether the client has seen the first text. A stream that waits sends no other text before,
        and is not cut."""
        self._lock = threading.Lock()
        self._id = uuid4().hex[:8]

    @property
    def answered(self) -> list[Call]:
        """The calls that were not refused."""
        return [call for call in self.calls if call.status == 200]

    def accept(self, api: str, request: Request) -> tuple[Call, Failure | None]:
        with self._lock:
            failure = self.failures.pop(0) if self.failures else None
            number = len(self.calls) + 1
            response_id = f"{api}-{self._id}-{number:04}"
            call = Call(api, number, response_id, f"{request.model}-2025-04-14", request.is_stream)
            if isinstance(failure, Status):
                call.status = failure.code
            self.calls.append(call)
            return call, failure

    def wait_for_turn(self, call: Call) -> None:
        """Return when the call may send its next text, or cut its stream."""
        if not call.text_at:
            time.sleep(self.seconds_to_text)
        elif self.seconds_to_text:
            give_up = call.text_at[-1] + LONGEST_WAIT
            while not self.has_arrived() and time.perf_counter() < give_up:
                time.sleep(0.005)
        call.text_at.append(time.perf_counter())

    def reply(self, request: Request) -> Reply:
        """SQL, in a tool call if there is a tool for it. RESPONSE_TEXT if the request has the result of the query."""
        has_result = SEEN_RESULT.search(json.dumps(request.body))
        text = RESPONSE_TEXT if has_result else SQL
        tool = next((tool for tool in request.tools if tool.name == request.forced_tool), None)
        if tool is None and not has_result:
            tool = min(
                (tool for tool in request.tools if _takes_sql(tool)), key=lambda tool: len(tool.name), default=None
            )
        if tool is not None:
            return Reply(tool=tool.name, arguments=_filled(tool.schema, text))
        if request.text_schema is not None:
            text = json.dumps(_filled(request.text_schema, text))
        return Reply(text)


def _takes_sql(tool: Tool) -> bool:
    return bool({"sql", "query"} & tool.schema.get("properties", {}).keys())


def _filled(schema: Mapping[str, Any], text: str) -> dict[str, Any]:
    """An object of the schema, with the text as each of its strings."""
    properties = schema.get("properties", {}).items()
    return {name: text for name, value in properties if value.get("type") == "string"}
