from __future__ import annotations

from dataclasses import astuple

from chat_telemetry import Stats


def test_every_counter_begins_at_zero() -> None:
    assert set(astuple(Stats())) == {0}
