"""A Celery application whose tasks persist a record. It needs no broker but a directory."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import UUID

from celery import Celery

from chat_telemetry import TelemetryRecord, persist_telemetry

DIRECTORY = Path(os.environ["CELERY_DIRECTORY"])
app = Celery("chats", broker="filesystem://", task_ignore_result=True)
app.conf.broker_transport_options = {
    "data_folder_in": str(DIRECTORY),
    "data_folder_out": str(DIRECTORY),
    "control_folder": str(DIRECTORY / "control"),
}
app.conf.worker_max_tasks_per_child = 5
app.conf.broker_connection_retry_on_startup = True


@app.task
def chat(user_id: str, number: int) -> None:
    """A chat request."""
    persist_telemetry(TelemetryRecord(user_id=UUID(user_id), user_question=f"question {number}"))
