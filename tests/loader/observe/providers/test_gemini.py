from __future__ import annotations

from collections.abc import Iterator

import pytest
from google import genai
from google.genai.types import HttpOptions

from tests.loader.observe.providers.conftest import EXPECTED, chunks, first_with_text, read

GEMINI = EXPECTED["gemini"]
STREAMED_GEMINI = ("gemini-2.5-pro", "uUDxbdvFCNwojuZQ17rthRZ", 77, 9 + 41, None)  # without a cache field


@pytest.fixture(scope="module")
def gemini_client(provider: str) -> Iterator[genai.Client]:
    with genai.Client(api_key="none", http_options=HttpOptions(base_url=provider)) as client:
        yield client


def test_thoughts_of_gemini_count_as_output_and_tool_results_as_input(gemini_client: genai.Client) -> None:
    assert read(gemini_client.models.generate_content(model="gemini-2.5-flash", contents="How many?")) == GEMINI


def test_the_last_chunk_of_a_gemini_stream_has_the_total_usage(gemini_client: genai.Client) -> None:
    chunks = list(gemini_client.models.generate_content_stream(model="gemini-2.5-pro", contents="How many?"))
    assert read(*chunks) == STREAMED_GEMINI
    assert first_with_text(chunks) is chunks[1]  # the first is a thought


def test_the_chunks_of_a_stream_are_read_as_dicts_too() -> None:
    assert read(*chunks("gemini")) == STREAMED_GEMINI
    assert "There were " in str(first_with_text(chunks("gemini")))
