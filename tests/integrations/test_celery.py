"""A Celery worker replaces its processes after a few tasks, as its documentation advises. They end by `os._exit`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import SERVERS, Database
from tests.loader.conftest import wait_until

pytestmark = pytest.mark.parametrize("postgres", SERVERS[-1:], indirect=True, scope="session")

TASKS = 60
HERE = Path(__file__).parent
SEND = "import sys, celery_app; [celery_app.chat.delay(sys.argv[1], number) for number in range(int(sys.argv[2]))]"


def test_no_record_of_a_celery_worker_is_lost(database: Database, tmp_path: Path) -> None:
    (user_id,) = database.add_users(1)
    (tmp_path / "control").mkdir()
    environment = {
        **os.environ,
        "CELERY_DIRECTORY": str(tmp_path),
        "CHAT_TELEMETRY_DATABASE_URL": database.conninfo,
        "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path]),
    }
    subprocess.run([sys.executable, "-c", SEND, str(user_id), str(TASKS)], env=environment, cwd=HERE, check=True)
    command = [sys.executable, "-m", "celery", "-A", "celery_app", "worker", "-P", "prefork", "-c", "2", "-l", "error"]
    worker = subprocess.Popen(command, env=environment, cwd=HERE)
    try:
        wait_until(lambda: not list(tmp_path.glob("*.msg")), timeout=60)
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.wait(60)
    with database.connect() as connection:
        rows = connection.execute("select user_question from public.chat_telemetry_log").fetchall()
    assert sorted(row[0] for row in rows) == sorted(f"question {number}" for number in range(TASKS))
