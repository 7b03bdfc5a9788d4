"""A Celery application whose tasks persist a record each. Its broker is a directory."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from uuid import UUID

from celery import Celery

from chat_telemetry import TelemetryRecord, persist_telemetry

directory = Path(os.environ["CELERY_TEST_DIRECTORY"])
app = Celery("celery_app", broker="filesystem://")
app.conf.broker_transport_options = {
    "data_folder_in": str(directory / "queue"),
    "data_folder_out": str(directory / "queue"),
    "control_folder": str(directory / "control"),
}
app.conf.broker_connection_retry_on_startup = True


def ask() -> None:
    record = TelemetryRecord(user_id=UUID(os.environ["CELERY_TEST_USER"]), user_question="How many orders?")
    if persist_telemetry(record):
        (directory / "accepted" / str(record.log_id)).touch()


task = app.task(name="ask")(ask)

if __name__ == "__main__":
    for _ in range(int(sys.argv[1])):
        task.delay()
