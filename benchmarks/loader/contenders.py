"""Ways to report a chat request: the name of each contender, and the function that creates it.

The peers are installed in an environment of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

CALL = "persist_telemetry(record)"
JOURNAL = "the same, with a journal"
OURS = "TelemetryRecord + persist_telemetry"
OBSERVED = "observe_chat with 3 steps"
LOGGING = "logging with QueueHandler"
OPENTELEMETRY = "OpenTelemetry, batched span"
LANGFUSE = "Langfuse, generation"
INSERT = "synchronous INSERT"

CONTENDERS = {
    CALL: "ways_to_postgres:call_alone",
    JOURNAL: "ways_to_postgres:call_with_journal",
    OURS: "ways_to_postgres:record_and_call",
    OBSERVED: "ways_to_postgres:observed",
    LOGGING: "ways_to_postgres:queue_handler",
    INSERT: "ways_to_postgres:synchronous_insert",
    OPENTELEMETRY: "opentelemetry_span:batched_span",
    LANGFUSE: "langfuse_generation:generation",
}
PEERS = (OPENTELEMETRY, LANGFUSE)
"""The contenders that send HTTP requests instead of writing to PostgreSQL."""


@dataclass(frozen=True)
class Contender:
    """`report` is timed. Its argument is the result of `prepare` for the columns of a chat request."""

    report: Callable[[Any], object]
    prepare: Callable[[dict[str, Any]], Any] = lambda columns: columns
