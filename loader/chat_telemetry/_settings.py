"""The settings of a client, with their defaults, and the environment variables of the default client."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import Field, dataclass, fields
from pathlib import Path
from typing import Any

from chat_telemetry._database_url import normalized, unquoted
from chat_telemetry._logger import logger

PREFIX = "CHAT_TELEMETRY_"
DATABASE_URL = f"{PREFIX}DATABASE_URL"
SWITCH = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a client.

    The default client reads each one from an environment variable: CHAT_TELEMETRY_ and the name in capitals, for
    example CHAT_TELEMETRY_MAX_QUEUE_RECORDS. Raises ValueError if a number is not above zero.
    """

    enabled: bool = True
    """False switches telemetry off: no thread, no connection, no journal. Records are counted as dropped."""
    journal_dir: str | os.PathLike[str] | None = None
    """A directory on a local disk in which accepted records survive the process. None: they are in memory only."""
    max_queue_records: int = 20_000
    """The most records in memory, the current batch included. Further records are dropped."""
    max_queue_bytes: int = 64 * 2**20
    """The most bytes of JSON in memory, the current batch included. Further records are dropped."""
    batch_records: int = 500
    """A batch is sent as soon as it has this many records."""
    batch_bytes: int = 4 * 2**20
    """The most bytes in a batch of more than one record."""
    max_batch_age: float = 0.5
    """The most seconds that a record waits for its batch to fill."""
    connect_timeout: float = 5.0
    """Seconds for one attempt to connect, at least 2."""
    batch_timeout: float = 60.0
    """The most seconds for one attempt to store a batch. Then it is cancelled and sent again on a new connection."""
    exit_timeout: float = 5.0
    """The most seconds for which the exit of the interpreter waits for delivery."""
    max_text_chars: int = 100_000
    """Characters kept of a question, a response, an SQL statement or an error message. The rest is cut off."""
    max_name_chars: int = 500
    """Characters kept of a name: error type, failed step, models, response id, and of each follow-up suggestion."""

    def __post_init__(self) -> None:
        for setting in fields(self):
            value = getattr(self, setting.name)
            if type(setting.default) in {int, float} and not 0 < value < float("inf"):
                raise ValueError(f"{setting.name} must be above zero, not {value}")


def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings in the CHAT_TELEMETRY_* variables. An invalid one logs a warning and keeps its default."""
    chosen: dict[str, Any] = {}
    for setting in fields(Settings):
        variable = PREFIX + setting.name.upper()
        if text := unquoted(environment.get(variable, "")):
            try:
                value = _parse(setting, text)
                Settings(**{setting.name: value})
            except (KeyError, ValueError):
                expected = "true or false" if isinstance(setting.default, bool) else "a number above zero"
                logger.warning("%s must be %s: using %s", variable, expected, setting.default)
            else:
                chosen[setting.name] = value
    return Settings(**chosen)


def database_url(environment: Mapping[str, str] = os.environ) -> str | None:
    """The connection string in CHAT_TELEMETRY_DATABASE_URL. None if it is missing or empty."""
    return normalized(environment.get(DATABASE_URL, "")) or None


def journal_directory(setting: str | os.PathLike[str]) -> Path:
    """The absolute path. An env file and a service definition pass `~` as it is."""
    return Path(os.path.expanduser(setting)).absolute()  # noqa: PTH111 - Path.expanduser raises if there is no home


def _parse(setting: Field[Any], text: str) -> Any:
    """Raises KeyError or ValueError if the text is not a value of this setting."""
    match setting.default:
        case bool():
            return SWITCH[text.strip().lower()]
        case int() | float():
            return type(setting.default)(text)
    return text
