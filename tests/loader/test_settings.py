from __future__ import annotations

import inspect
import logging
import re
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest

from chat_telemetry import TelemetryClient
from chat_telemetry._settings import Settings, database_url, from_environment, journal_directory


def test_without_variables_every_setting_has_its_default() -> None:
    assert from_environment({}) == Settings()


def test_each_setting_has_an_environment_variable() -> None:
    environment = {
        "CHAT_TELEMETRY_MAX_QUEUE_RECORDS": "7",
        "CHAT_TELEMETRY_MAX_QUEUE_BYTES": "1000",
        "CHAT_TELEMETRY_BATCH_RECORDS": "5",
        "CHAT_TELEMETRY_BATCH_BYTES": "100",
        "CHAT_TELEMETRY_MAX_BATCH_AGE": "0.25",
        "CHAT_TELEMETRY_CONNECT_TIMEOUT": "3",
        "CHAT_TELEMETRY_BATCH_TIMEOUT": "20",
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
        batch_timeout=20.0,
        exit_timeout=1.5,
        enabled=False,
        journal_dir="/var/lib/chat",
        max_text_chars=1000,
        max_name_chars=50,
    )
    assert len(environment) == len(fields(Settings))


def test_the_client_has_a_parameter_for_each_setting_with_the_same_type_and_default() -> None:
    parameters = [*inspect.signature(TelemetryClient).parameters.values()]
    assert [parameter.name for parameter in parameters[:2]] == ["dsn", "redact"]
    assert [(parameter.name, parameter.annotation, parameter.default) for parameter in parameters[2:]] == [
        (setting.name, setting.type, setting.default) for setting in fields(Settings)
    ]


def test_each_setting_of_a_client_reaches_the_code_that_uses_it(tmp_path: Path) -> None:
    defaults = {setting.name: setting.default for setting in fields(Settings)}
    numbers = {name: 2 * default for name, default in defaults.items() if isinstance(default, int | float)}
    changed: dict[str, Any] = {**numbers, "enabled": False, "journal_dir": tmp_path}
    given = Settings(**changed)
    client = TelemetryClient("host=/nowhere", **asdict(given))
    assert client._queue._settings == given
    assert client._enabled == given.enabled
    assert (client._encoder._max_text_chars, client._encoder._max_name_chars) == (
        given.max_text_chars,
        given.max_name_chars,
    )
    assert client._delivery.exit_timeout == given.exit_timeout
    assert client._delivery._store._connector._connect_timeout == given.connect_timeout
    assert client._delivery._store._batch_timeout == given.batch_timeout


@pytest.mark.parametrize("text", ["many", "-1", "0", "1.5", "nan", "inf"])
def test_an_invalid_variable_is_logged_and_its_default_used(text: str, caplog: pytest.LogCaptureFixture) -> None:
    environment = {"CHAT_TELEMETRY_BATCH_RECORDS": text, "CHAT_TELEMETRY_EXIT_TIMEOUT": "2"}
    with caplog.at_level(logging.WARNING, logger="chat_telemetry"):
        assert from_environment(environment) == Settings(exit_timeout=2.0)
    assert caplog.messages == ["CHAT_TELEMETRY_BATCH_RECORDS must be a number above zero: using 500"]


@pytest.mark.parametrize("text", ["FALSE", "0", "no", " off "])
def test_telemetry_can_be_switched_off_by_several_words(text: str) -> None:
    assert not from_environment({"CHAT_TELEMETRY_ENABLED": text}).enabled


def test_an_invalid_switch_is_logged_and_telemetry_stays_on(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="chat_telemetry"):
        assert from_environment({"CHAT_TELEMETRY_ENABLED": "maybe"}).enabled
    assert caplog.messages == ["CHAT_TELEMETRY_ENABLED must be true or false: using True"]


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_a_setting_that_is_not_above_zero_is_an_error(value: float) -> None:
    with pytest.raises(ValueError, match="max_batch_age must be above zero"):
        Settings(max_batch_age=value)


def test_an_empty_database_url_counts_as_missing() -> None:
    assert database_url({"CHAT_TELEMETRY_DATABASE_URL": ""}) is None
    assert database_url({"CHAT_TELEMETRY_DATABASE_URL": "service=chat"}) == "service=chat"


def test_a_variable_may_be_in_quotes_as_in_an_env_file() -> None:
    environment = {"CHAT_TELEMETRY_BATCH_RECORDS": '"7"\r\n', "CHAT_TELEMETRY_JOURNAL_DIR": "'/var/lib/chat' "}
    assert from_environment(environment) == Settings(batch_records=7, journal_dir="/var/lib/chat")


def test_a_blank_variable_counts_as_missing() -> None:
    assert from_environment({"CHAT_TELEMETRY_JOURNAL_DIR": " ", "CHAT_TELEMETRY_BATCH_RECORDS": ""}) == Settings()


def test_a_tilde_in_the_journal_directory_is_the_home_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert journal_directory("~/journal") == tmp_path / "journal"
    assert journal_directory(Path("~/journal")) == tmp_path / "journal"
    assert journal_directory("/a/~b") == Path("/a/~b")
    assert journal_directory("~no-such-user/journal").name == "journal"
    client = TelemetryClient("host=/nowhere", journal_dir="~/journal")
    assert client._delivery._recovery
    assert client._delivery._recovery._directory == tmp_path / "journal"


def test_the_page_lists_each_setting_with_its_default() -> None:
    page = (Path(__file__).parents[2] / "docs/loader.md").read_text()
    rows = re.findall(r"^\| `([A-Z_]+)` \| `(\w+)` \| ([^|]+?) \|", page, re.MULTILINE)
    listed = {argument: default for _, argument, default in rows}
    assert [variable.lower() for variable, argument, _ in rows if argument != "dsn"] == [
        argument for _, argument, _ in rows if argument != "dsn"
    ]
    assert listed.keys() == {"dsn", *(setting.name for setting in fields(Settings))}
    units = {" s": 1, " MiB": 2**20, "": 1}
    for setting in fields(Settings):
        if type(setting.default) in {int, float}:
            number, unit = re.fullmatch(r"([\d.]+)( \w+)?", listed[setting.name]).groups()  # type: ignore[union-attr]
            assert float(number) * units[unit or ""] == setting.default, setting.name
