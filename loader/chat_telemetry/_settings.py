"""The settings of a client, with their defaults, and the environment variables of the default client."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import Field, dataclass, fields
from typing import Any

from chat_telemetry._log import logger

PREFIX = "CHAT_TELEMETRY_"
DATABASE_URL = f"{PREFIX}DATABASE_URL"
SWITCH = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where a client keeps what it holds and how much, how it cuts batches and texts, and how long it waits.

    Each has an environment variable that the default client reads: CHAT_TELEMETRY_ and the name in capitals, for
    example CHAT_TELEMETRY_MAX_QUEUE_RECORDS. Raises ValueError for a number that is not above zero.
    """

    enabled: bool = True
    """False switches telemetry off: no thread, no connection, no journal; records are counted as dropped."""
    journal_dir: str | os.PathLike[str] | None = None
    """A directory on a local disk, where accepted records survive the process. None: they are in memory only."""
    max_queue_records: int = 20_000
    """Records held in memory at most, those on their way included; one more is dropped."""
    max_queue_bytes: int = 64 * 2**20
    """The same in bytes of JSON."""
    batch_records: int = 500
    """A batch is sent once so many records wait for it."""
    batch_bytes: int = 4 * 2**20
    """A batch ends before the record that would take it over this."""
    max_batch_age: float = 0.5
    """Seconds that a record waits at most for its batch to fill."""
    connect_timeout: float = 5.0
    """Seconds for one try to connect, at least 2."""
    exit_timeout: float = 5.0
    """Seconds that the exit of the interpreter may be held up to send what is left."""
    max_text_chars: int = 100_000
    """Characters of a question, an answer, an SQL statement, an error message; the rest is cut off."""
    max_name_chars: int = 500
    """The same of everything shorter: error type, step, models, response id, each follow-up suggestion."""

    def __post_init__(self) -> None:
        for setting in fields(self):
            value = getattr(self, setting.name)
            if type(setting.default) in {int, float} and not 0 < value < float("inf"):
                raise ValueError(f"{setting.name} must be above zero, not {value}")


def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings that the CHAT_TELEMETRY_* variables ask for; one that makes no sense is warned about and ignored."""
    chosen: dict[str, Any] = {}
    for setting in fields(Settings):
        variable = PREFIX + setting.name.upper()
        if text := environment.get(variable):
            try:
                value = _parse(setting, text)
                Settings(**{setting.name: value})
            except (KeyError, ValueError):
                wanted = "neither true nor false" if isinstance(setting.default, bool) else "no number above zero"
                logger.warning("%s is %s: using %s instead", variable, wanted, setting.default)
            else:
                chosen[setting.name] = value
    return Settings(**chosen)


def database_url(environment: Mapping[str, str] = os.environ) -> str | None:
    """The connection string in CHAT_TELEMETRY_DATABASE_URL; None where it is missing or empty."""
    return environment.get(DATABASE_URL) or None


def _parse(setting: Field[Any], text: str) -> Any:
    """Raises KeyError or ValueError for a text that is no such value."""
    match setting.default:
        case bool():
            return SWITCH[text.strip().lower()]
        case int() | float():
            return type(setting.default)(text)
    return text
