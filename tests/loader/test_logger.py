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
    limited.warn("refused %s", "a")
    limited.warn("refused %s", "b")
    limited.warn("full")
    now += 59
    limited.warn("refused %s", "c")
    now += 1
    limited.warn("refused %s", "d")
    assert caplog.messages == ["refused a", "full", "refused d"]
    assert {record.name for record in caplog.records} == {"chat_telemetry"}


def test_a_log_filter_that_raises_stays_without_effect(caplog: pytest.LogCaptureFixture) -> None:
    def fail(record: logging.LogRecord) -> bool:
        raise RuntimeError

    logger = logging.getLogger("chat_telemetry")
    logger.addFilter(fail)
    try:
        LimitedLogger().warn("full")
    finally:
        logger.removeFilter(fail)
    assert caplog.messages == []
