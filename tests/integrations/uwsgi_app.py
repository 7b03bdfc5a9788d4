"""A WSGI application that persists a record for each request, and one while it is loaded if that is wanted."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from uuid import UUID

from chat_telemetry import TelemetryRecord, persist_telemetry


def ask() -> None:
    record = TelemetryRecord(user_id=UUID(os.environ["UWSGI_TEST_USER"]), user_question="How many orders?")
    if persist_telemetry(record):
        (Path(os.environ["UWSGI_TEST_DIRECTORY"]) / str(record.log_id)).touch()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    ask()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ok"]


if os.environ.get("UWSGI_TEST_RECORD_BEFORE_FORK"):
    ask()
