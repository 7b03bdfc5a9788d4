"""A WSGI chat application for gunicorn --preload. The path of a request is the log_id of its record."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING
from uuid import UUID

from chat_telemetry import TelemetryRecord, persist_telemetry

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

USER_ID = UUID(os.environ["CHAT_USER_ID"])

# In the master, before it forks. The workers inherit a client that has a thread, a connection and a journal.
persist_telemetry(TelemetryRecord(log_id=UUID(int=1), user_id=USER_ID, user_question="Are we up?"))


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    log_id = UUID(environ["PATH_INFO"].removeprefix("/"))
    is_accepted = persist_telemetry(TelemetryRecord(log_id=log_id, user_id=USER_ID, user_question="How many orders?"))
    start_response("200 OK" if is_accepted else "503 Service Unavailable", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
