from __future__ import annotations

from tests.loader.observe.providers.conftest import EXPECTED, chunks, first_text_at, read, whole


def test_a_whole_response_is_read() -> None:
    assert read(whole("ollama")) == EXPECTED["ollama"]


def test_the_last_chunk_of_an_ollama_stream_has_its_counts() -> None:
    assert read(*chunks("ollama")) == ("llama3.2", None, 88, 10, None)
    assert read(*chunks("ollama")[:-1])[2:] == (None, None, None)
    assert first_text_at(chunks("ollama")) == 0


def test_a_response_of_generate_begins_with_its_first_text() -> None:
    generated = [
        {"model": "llama3.2", "created_at": "2026-11-23T08:00:00Z", "response": text, "done": False}
        for text in ("", "42")
    ]
    assert first_text_at(generated) == 1
