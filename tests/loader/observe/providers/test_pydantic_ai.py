from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.loader.observe.providers.conftest import EXPECTED, first_text_at, read, whole


@dataclass
class Usage:
    """The fields of RequestUsage and RunUsage; tests/integrations has the package."""

    input_tokens: int = 0
    cache_write_tokens: int = 0
    cache_read_tokens: int = 0
    output_tokens: int = 0


@dataclass
class Result:
    usage: Usage
    response: Any = field(default_factory=lambda: whole("pydantic_ai"))


def test_a_response_is_read() -> None:
    assert read(whole("pydantic_ai")) == EXPECTED["pydantic_ai"]


def test_the_usage_of_a_run_is_not_overridden_by_that_of_its_last_response() -> None:
    result = Result(Usage(input_tokens=2000, cache_read_tokens=900, output_tokens=77))
    assert read(result) == (*EXPECTED["pydantic_ai"][:2], 2000, 77, 900)


def test_the_usage_alone_is_read() -> None:
    assert read(Usage(input_tokens=20, cache_read_tokens=9, output_tokens=7))[2:] == (20, 7, 9)


def test_the_first_text_is_that_of_a_text_part() -> None:
    events = [
        {"event_kind": "part_start", "part": {"part_kind": "tool-call", "content": "run_sql"}},
        {"event_kind": "part_start", "part": {"part_kind": "thinking", "content": "Count."}},
        {"event_kind": "part_start", "part": {"part_kind": "text", "content": ""}},
        {"event_kind": "part_delta", "delta": {"part_delta_kind": "text", "content_delta": "There"}},
    ]
    assert first_text_at(events) == 3
