"""A function as a service. The process is frozen when the handler returns, so the handler delivers the record first."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from chat import answer

from chat_telemetry import flush


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """One chat request per call. `flush` waits for the database, at most 2 seconds, even after an exception."""
    try:
        return {"statusCode": 200, "body": "".join(answer(UUID(event["user_id"]), event["question"]))}
    finally:
        flush(timeout=2)
