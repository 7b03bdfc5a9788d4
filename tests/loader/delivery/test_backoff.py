from __future__ import annotations

import logging

import pytest

from chat_telemetry import Stats
from chat_telemetry._delivery.queue import LineQueue
from chat_telemetry._delivery.store import Store
from chat_telemetry._delivery.thread import DeliveryThread
from chat_telemetry._encoding import encode
from chat_telemetry._settings import Settings
from tests.loader.conftest import Log


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The length of each pause after a failure. The pauses themselves are skipped."""
    pauses: list[float] = []
    monkeypatch.setattr(LineQueue, "pause", lambda _, seconds: pauses.append(seconds))
    return pauses


def backoff(failures: int) -> list[float]:
    """The longest pause after each failure in a row."""
    return [min(15, 0.25 * 2**number) for number in range(failures)]


def are_jittered(pauses: list[float], longest: list[float]) -> bool:
    """Whether each pause is between half of its longest value and that value."""
    return all(0.5 * limit <= pause <= limit for pause, limit in zip(pauses, longest, strict=True))


def test_pauses_double_up_to_fifteen_seconds_and_differ_between_clients(pauses: list[float]) -> None:
    delivery = DeliveryThread(Store("host=/nowhere"), Settings(max_batch_age=0.001))
    delivery.queue.put(b"[]")
    for _ in range(12):
        assert delivery._process_one_batch()
    assert are_jittered(pauses, backoff(12))
    assert len({pause / longest for pause, longest in zip(pauses, backoff(12), strict=True)}) > 1
    delivery.queue.close(0)


def test_a_second_outage_starts_with_short_pauses_and_the_end_of_each_is_logged_once(
    log: Log, pauses: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    delivery = DeliveryThread(Store(log.conninfo), Settings(max_batch_age=0.001))

    def deliver(batches: int) -> None:
        for _ in range(batches):
            delivery.queue.put(encode(log.record()))
            delivery._process_one_batch()

    with caplog.at_level(logging.INFO, logger="chat_telemetry"):
        for _ in range(2):
            log.execute("alter table public.chat_telemetry_log rename to elsewhere")
            deliver(3)
            log.execute("alter table public.elsewhere rename to chat_telemetry_log")
            deliver(2)
    delivery._store.close()
    assert are_jittered(pauses, backoff(3) * 2)
    assert caplog.messages.count("the database accepts telemetry again") == 2
    assert delivery.queue.stats() == Stats(accepted=10, stored=10)
