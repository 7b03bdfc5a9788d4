"""Telemetry of chat applications that answer questions by writing SQL, into the Postgres they already run.

from chat_telemetry import TelemetryRecord, persist_telemetry
persist_telemetry(TelemetryRecord(user_id=..., user_question=...))
"""

from importlib import metadata
from typing import TYPE_CHECKING

from chat_telemetry._client import TelemetryClient
from chat_telemetry._default_client import close, configure, flush, persist_telemetry, stats
from chat_telemetry._errors import TelemetryError
from chat_telemetry._identity import ANONYMOUS_USER, user_key
from chat_telemetry._observe.chat import current, observe_chat
from chat_telemetry._record import TelemetryRecord
from chat_telemetry._stats import Stats

__all__ = [
    "ANONYMOUS_USER",
    "Stats",
    "TelemetryClient",
    "TelemetryError",
    "TelemetryRecord",
    "close",
    "configure",
    "current",
    "flush",
    "observe_chat",
    "persist_telemetry",
    "stats",
    "user_key",
]

if TYPE_CHECKING:
    __version__: str  # so that a type checker does not accept every other name from __getattr__
else:

    def __getattr__(name: str) -> str:
        """`__version__`, when it is asked for: the lookup takes 0.7 ms, and fails in a copy without metadata."""
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return metadata.version("chat-telemetry")
