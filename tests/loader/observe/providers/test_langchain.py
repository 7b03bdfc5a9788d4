from __future__ import annotations

import copy
from typing import Any

from tests.loader.observe.providers.conftest import EXPECTED, first_text_at, read, whole


class Message:
    """The fields of LangChain's messages; tests/integrations has the package."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)


def chunk(**fields: Any) -> Message:
    return Message(**{"type": "AIMessageChunk", "id": "lc_run--1", "content": "", "response_metadata": {}, **fields})


def test_a_message_is_read_as_a_dict_and_as_an_object() -> None:
    assert read(whole("langchain")) == EXPECTED["langchain"]
    assert read(Message(**whole("langchain"))) == EXPECTED["langchain"]


def test_a_message_with_only_the_usage_of_its_provider_is_read() -> None:
    message = copy.deepcopy(whole("langchain"))
    del message["usage_metadata"]
    assert read(message) == EXPECTED["langchain"]


def test_a_message_without_cache_details_has_no_number_of_cached_tokens() -> None:
    usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    assert read({"usage_metadata": usage, "response_metadata": {"model_name": "m"}}) == ("m", None, 10, 5, None)


def test_the_chunks_of_a_stream_each_report_a_part_of_the_usage() -> None:
    parts = [
        chunk(usage_metadata={"input_tokens": 40, "output_tokens": 0, "input_token_details": {"cache_read": 30}}),
        chunk(content=[{"type": "text", "text": "There were ", "index": 0}]),
        chunk(content="42 orders."),
        chunk(
            usage_metadata={"input_tokens": 0, "output_tokens": 12, "input_token_details": {"cache_read": 0}},
            response_metadata={"model_name": "claude-haiku-4-5"},
        ),
    ]
    assert read(*parts) == ("claude-haiku-4-5", None, 40, 12, 30)
    assert first_text_at(parts) == 1


def test_a_chunk_that_calls_a_tool_has_no_text() -> None:
    parts = [chunk(content=[{"type": "tool_use", "input": {}}]), chunk(content=""), chunk(content="42")]
    assert first_text_at(parts) == 2
