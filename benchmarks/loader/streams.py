"""What `chat.stream` costs for each chunk, next to what the provider's own package needs to make the chunk.

python -m benchmarks.loader.streams
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from anthropic._models import construct_type as construct_anthropic
from anthropic.types import RawMessageStreamEvent
from google.genai.types import GenerateContentResponse
from openai._models import construct_type as construct_openai
from openai.types.chat import ChatCompletionChunk
from openai.types.responses import ResponseStreamEvent

from chat_telemetry import TelemetryClient, TelemetryRecord, observe_chat

WIRE = Path(__file__).parents[2] / "tests" / "wire"
LAST_TEXT = "42 orders."
CHUNKS = 1000
REPEATED = 10

Make = Callable[[dict[str, Any]], Any]
# By capture, what its package does with the JSON of a chunk.
PACKAGES: dict[str, Make] = {
    "openai_chat": lambda chunk: construct_openai(type_=ChatCompletionChunk, value=chunk),
    "openai_responses": lambda chunk: construct_openai(type_=ResponseStreamEvent, value=chunk),
    "anthropic": lambda chunk: construct_anthropic(type_=RawMessageStreamEvent, value=chunk),
    "gemini": GenerateContentResponse.model_validate,
}


class NoClient(TelemetryClient):
    """Persists nothing, so that only the stream is measured."""

    def persist(self, record: TelemetryRecord) -> bool:
        """The record."""
        return True


def streams() -> dict[str, dict[str, float]]:
    """Microseconds of CPU time for each chunk, for each capture: the minimum of many runs, in turns."""
    client = NoClient("host=/nowhere")
    gc.disable()
    figures: dict[str, dict[str, float]] = {}
    for api, make in PACKAGES.items():
        texts = [line[6:] for line in (WIRE / f"{api}.sse").read_text().splitlines() if line.startswith("data: {")]
        first, middle = texts[0], next(text for text in texts if LAST_TEXT in text)
        chunks = [make(json.loads(first)), *[make(json.loads(middle))] * CHUNKS]
        package, observed = [], []
        for _ in range(REPEATED):
            package.append(_cpu(partial(_make_chunks, make, middle)))
            observed.append(_observe(client, chunks) - _cpu(partial(_consume, chunks)))
        scale = 1e6 / CHUNKS
        figures[api] = {"package_us": min(package) * scale, "observed_us": min(observed) * scale}
    return figures


def _observe(client: TelemetryClient, chunks: list[Any]) -> float:
    with (
        observe_chat(user_id=UUID(int=1), user_question="?", client=client) as chat,
        chat.step("response_generation"),
    ):
        stream = chat.stream(chunks)
        return _cpu(partial(_consume, stream))


def _make_chunks(make: Make, text: str) -> None:
    for _ in range(CHUNKS):
        make(json.loads(text))


def _consume(chunks: Iterable[Any]) -> None:
    for _ in chunks:
        pass


def _cpu(action: Callable[[], object]) -> float:
    started = time.process_time()
    action()
    return time.process_time() - started


if __name__ == "__main__":
    print(json.dumps(streams()))
