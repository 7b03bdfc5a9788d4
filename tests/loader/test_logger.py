from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest

from chat_telemetry import _logger
from chat_telemetry._logger import LimitedLogger


def test_each_kind_of_warning_is_logged_once_a_minute(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(_logger, "time", SimpleNamespace(monotonic=lambda: now))
    limited = LimitedLogger()
    limited.warn("rejected %s", "a")
    limited.warn("rejected %s", "b")
    limited.warn("full")
    now += 59
    limited.warn("rejected %s", "c")
    now += 1
    limited.warn("rejected %s", "d")
    assert caplog.messages == ["rejected a", "full", "rejected d"]
    assert {record.name for record in caplog.records} == {"chat_telemetry"}


def test_each_reason_is_logged_at_once_and_then_once_a_minute(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(_logger, "time", SimpleNamespace(monotonic=lambda: now))
    limited = LimitedLogger()
    for reason in ("a", "b", "a", "b"):
        limited.warn("rejected: %s", reason, reason=reason)
    now += 60
    limited.warn("rejected: %s", "a", reason="a")
    assert caplog.messages == ["rejected: a", "rejected: b", "rejected: a"]


def test_any_number_of_reasons_takes_limited_memory_and_a_limited_number_of_lines(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(_logger, "time", SimpleNamespace(monotonic=lambda: now))
    limited = LimitedLogger()
    for minute in range(1, 4):
        for number in range(1000):
            limited.warn("rejected", reason=str(number))
        limited.warn("full")
        assert caplog.messages.count("rejected") <= minute * (_logger.MOST_KINDS + 1)
        assert caplog.messages.count("full") == minute
        assert len(limited._silent_until) <= _logger.MOST_KINDS + 2
        now += 60


def test_a_logging_filter_that_raises_does_not_reach_the_caller(caplog: pytest.LogCaptureFixture) -> None:
    def fail(record: logging.LogRecord) -> bool:
        raise RuntimeError

    logger = logging.getLogger("chat_telemetry")
    logger.addFilter(fail)
    try:
        LimitedLogger().warn("full")
    finally:
        logger.removeFilter(fail)
    assert caplog.messages == []
