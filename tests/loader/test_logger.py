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
