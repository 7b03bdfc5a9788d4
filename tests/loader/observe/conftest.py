"""What the tests of `observe_chat` share: provider captures, and a client that keeps records."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from typing import Any

import pytest

from chat_telemetry import TelemetryRecord, observe_chat
from chat_telemetry._observe.chat import ObservedChat
from tests.loader.conftest import USER
from tests.providers import WIRE, running_provider

MODEL_RESPONSE = json.loads((WIRE / "openai_responses.json").read_text())


CHUNKS = [
    json.loads(line.removeprefix("data: "))
    for line in (WIRE / "openai_responses.sse").read_text().splitlines()
    if line.startswith("data: ")
]


class Kept:
    """Replaces a client and keeps the records, so that a test can read them without a database."""

    def __init__(self) -> None:
        self.records: list[TelemetryRecord] = []

    def persist(self, record: TelemetryRecord) -> bool:
        self.records.append(record)
        return True


@pytest.fixture
def kept() -> Kept:
    return Kept()


def observe(kept: Any, **more: Any) -> ObservedChat:
    return observe_chat(user_id=USER, user_question="?", client=kept, **more)


def elapsed_ms(chat: ObservedChat) -> int:
    """Since the request began: the most that a duration that ends before this call can be."""
    return math.ceil((time.perf_counter() - chat._started) * 1000)


@pytest.fixture(autouse=True)
def _advice_is_given_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test gets the advice that a process gets once."""
    monkeypatch.setattr("chat_telemetry._observe.advice._given", {})


@pytest.fixture(scope="session")
def provider() -> Iterator[str]:
    with running_provider() as url:
        yield url
