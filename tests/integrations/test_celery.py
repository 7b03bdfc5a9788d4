"""Celery's prefork pool ends its children by `os._exit`. Their records are delivered without code of yours."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.loader.conftest import Log, log, wait_until, writer  # noqa: F401 - fixtures
from tests.loader.faults.conftest import ON_NEWEST_SERVER

pytest.importorskip("celery")
pytestmark = ON_NEWEST_SERVER
ROOT = Path(__file__).parents[2]
TASKS = 60


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(["--max-tasks-per-child=5"], id="children that end after five tasks"),
        pytest.param([], id="children that end with the worker"),
        pytest.param(["-P", "threads"], id="threads"),
        pytest.param(["-P", "solo"], id="no children"),
    ],
)
def test_a_celery_worker_delivers_the_records_of_all_its_tasks(
    log: Log,  # noqa: F811
    tmp_path: Path,
    options: list[str],
) -> None:
    for name in ("queue", "control", "accepted"):
        (tmp_path / name).mkdir()
    environment = {
        **os.environ,
        "CELERY_TEST_DIRECTORY": str(tmp_path),
        "CELERY_TEST_USER": str(log.user_id),
        "CHAT_TELEMETRY_DATABASE_URL": log.conninfo,
        "CHAT_TELEMETRY_MAX_BATCH_AGE": "600",  # so that only the end of a process delivers
        "CHAT_TELEMETRY_EXIT_TIMEOUT": "30",
    }
    module = "tests.integrations.celery_app"
    subprocess.run([sys.executable, "-m", module, str(TASKS)], cwd=ROOT, env=environment, check=True, timeout=60)
    worker = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", module, "worker", "-c", "2", *options],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: len([*(tmp_path / "accepted").iterdir()]) == TASKS, 200)
        worker.send_signal(signal.SIGTERM)
        worker.wait(60)
    finally:
        worker.kill()
    assert sorted(map(str, log.stored_ids())) == sorted(path.name for path in (tmp_path / "accepted").iterdir())


BILLIARD = """
import os, sys
from uuid import UUID
import billiard
from chat_telemetry import TelemetryRecord, persist_telemetry

def ask():
    record = TelemetryRecord(user_id=UUID(sys.argv[1]), user_question="How many orders?")
    os.write(1, b"1" if persist_telemetry(record) else b"0")

children = [billiard.Process(target=ask) for _ in range(3)]
for child in children:
    child.start()
for child in children:
    child.join()
"""


def test_a_child_process_of_billiard_delivers_its_records_when_it_ends(log: Log) -> None:  # noqa: F811
    finished = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BILLIARD, str(log.user_id)],
        env={**os.environ, "CHAT_TELEMETRY_DATABASE_URL": log.conninfo, "CHAT_TELEMETRY_EXIT_TIMEOUT": "30"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert (finished.stdout, len(log.stored_ids())) == ("111", 3)
