"""The settings of a client, with their defaults, and the environment variables of the default client."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from chat_telemetry.log import logger

PREFIX = "CHAT_TELEMETRY_"
DATABASE_URL = f"{PREFIX}DATABASE_URL"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How much a client holds, how it cuts batches and how long it waits.

    Each has an environment variable that the default client reads: CHAT_TELEMETRY_ and the name in capitals, for
    example CHAT_TELEMETRY_MAX_QUEUE_RECORDS. Raises ValueError for what is not above zero.
    """

    max_queue_records: int = 20_000
    """Records held at most, those on their way included; one more is dropped."""
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

    def __post_init__(self) -> None:
        for setting in fields(self):
            if not 0 < getattr(self, setting.name) < float("inf"):
                raise ValueError(f"{setting.name} must be above zero, not {getattr(self, setting.name)}")


def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings that the CHAT_TELEMETRY_* variables ask for; one that makes no sense is warned about and ignored."""
    chosen: dict[str, Any] = {}
    for setting in fields(Settings):
        variable = PREFIX + setting.name.upper()
        if text := environment.get(variable):
            try:
                value = type(getattr(Settings, setting.name))(text)
                Settings(**{setting.name: value})
            except ValueError:
                logger.warning("%s is no number above zero: using %s instead", variable, setting.default)
            else:
                chosen[setting.name] = value
    return Settings(**chosen)


def database_url(environment: Mapping[str, str] = os.environ) -> str | None:
    """The connection string in CHAT_TELEMETRY_DATABASE_URL; None where it is missing or empty."""
    return environment.get(DATABASE_URL) or None
