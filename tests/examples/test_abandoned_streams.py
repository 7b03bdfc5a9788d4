"""A browser that goes away while Starlette streams a generator of `def`: the page's advice closes it at once."""

from __future__ import annotations

import asyncio
import gc
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse

from tests.loader.observe.conftest import CHUNKS, Kept, observe

PAGE = Path(__file__).parents[2] / "docs" / "chat-code.md"


def advice() -> Any:
    """`closed_in_time` as it stands on the page."""
    (block,) = re.findall(r"```python\n(from contextlib import closing\n.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(block, names)  # noqa: S102 - our own page
    return names["closed_in_time"]


def pieces(kept: Kept) -> Iterator[str]:
    with observe(kept) as chat, chat.step("response_generation"):
        for _ in chat.stream(CHUNKS):
            yield "piece"
            threading.Event().wait(0.01)


async def stream_to_a_browser_that_goes(content: Any, spec_version: str) -> None:
    """Serve the response, and disconnect after the second piece."""
    received, gone = 0, asyncio.Event()

    async def receive() -> dict[str, str]:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        nonlocal received
        received += bool(message.get("body"))
        if received >= 2:
            gone.set()
            await asyncio.sleep(0)
            if spec_version == "2.4":
                raise OSError("the connection is closed")

    scope = {"type": "http", "asgi": {"spec_version": spec_version}}
    response = StreamingResponse(content)
    try:
        await response(scope, receive, send)
    except ClientDisconnect:
        assert spec_version == "2.4"


@pytest.mark.parametrize("spec_version", ["2.3", "2.4"])
def test_a_generator_that_is_closed_in_time_is_recorded_at_once(spec_version: str) -> None:
    kept = Kept()
    gc.disable()
    started = time.perf_counter()
    try:
        asyncio.run(stream_to_a_browser_that_goes(advice()(pieces(kept)), spec_version))
        (record,) = kept.records
        elapsed = (time.perf_counter() - started) * 1000
    finally:
        gc.enable()
    assert (record.error_type, record.failed_step, record.error_message) == ("cancelled", "response", "GeneratorExit")
    assert record.response_model == "gpt-4.1-mini-2025-04-14"
    assert record.response_generation_duration_ms is not None
    assert record.response_generation_duration_ms <= elapsed + 1
