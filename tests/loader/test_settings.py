from __future__ import annotations

import logging

import pytest

from chat_telemetry._settings import Settings, database_url, from_environment


def test_without_variables_the_defaults_hold() -> None:
    assert from_environment({}) == Settings()


def test_each_setting_has_a_variable_of_its_name() -> None:
    environment = {
        "CHAT_TELEMETRY_MAX_QUEUE_RECORDS": "7",
        "CHAT_TELEMETRY_MAX_QUEUE_BYTES": "1000",
        "CHAT_TELEMETRY_BATCH_RECORDS": "5",
        "CHAT_TELEMETRY_BATCH_BYTES": "100",
        "CHAT_TELEMETRY_MAX_BATCH_AGE": "0.25",
        "CHAT_TELEMETRY_CONNECT_TIMEOUT": "3",
        "CHAT_TELEMETRY_EXIT_TIMEOUT": "1.5",
        "CHAT_TELEMETRY_ENABLED": "false",
        "CHAT_TELEMETRY_JOURNAL_DIR": "/var/lib/chat",
        "CHAT_TELEMETRY_MAX_TEXT_CHARS": "1000",
        "CHAT_TELEMETRY_MAX_NAME_CHARS": "50",
    }
    assert from_environment(environment) == Settings(
        max_queue_records=7,
        max_queue_bytes=1000,
        batch_records=5,
        batch_bytes=100,
        max_batch_age=0.25,
        connect_timeout=3.0,
        exit_timeout=1.5,
        enabled=False,
        journal_dir="/var/lib/chat",
        max_text_chars=1000,
        max_name_chars=50,
    )


@pytest.mark.parametrize("text", ["many", "-1", "0", "1.5", "nan", "inf"])
def test_a_variable_that_makes_no_sense_is_named_and_its_default_used(
    text: str, caplog: pytest.LogCaptureFixture
) -> None:
    environment = {"CHAT_TELEMETRY_BATCH_RECORDS": text, "CHAT_TELEMETRY_EXIT_TIMEOUT": "2"}
    with caplog.at_level(logging.WARNING, logger="chat_telemetry"):
        assert from_environment(environment) == Settings(exit_timeout=2.0)
    assert caplog.messages == ["CHAT_TELEMETRY_BATCH_RECORDS must be a number above zero: using 500"]


@pytest.mark.parametrize("text", ["FALSE", "0", "no", " off "])
def test_telemetry_can_be_switched_off_in_many_words(text: str) -> None:
    assert not from_environment({"CHAT_TELEMETRY_ENABLED": text}).enabled


def test_a_switch_that_makes_no_sense_is_named_and_stays_on(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="chat_telemetry"):
        assert from_environment({"CHAT_TELEMETRY_ENABLED": "maybe"}).enabled
    assert caplog.messages == ["CHAT_TELEMETRY_ENABLED must be true or false: using True"]


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_a_setting_in_code_that_makes_no_sense_is_an_error(value: float) -> None:
    with pytest.raises(ValueError, match="max_batch_age must be above zero"):
        Settings(max_batch_age=value)


def test_an_empty_database_url_is_none() -> None:
    assert database_url({"CHAT_TELEMETRY_DATABASE_URL": ""}) is None
    assert database_url({"CHAT_TELEMETRY_DATABASE_URL": "service=chat"}) == "service=chat"
