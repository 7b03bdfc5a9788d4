"""What the tests of `observe_chat` share: provider captures, and a client that keeps records."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chat_telemetry import TelemetryRecord, observe_chat
from chat_telemetry._observe.chat import ObservedChat
from tests.loader.conftest import USER
from tests.providers import WIRE

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
