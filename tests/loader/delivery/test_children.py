"""Child processes of multiprocessing end by `os._exit` on some versions of Python. Their records are delivered."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.loader.conftest import Log
from tests.loader.delivery.children import TASKS
from tests.loader.faults.conftest import ON_NEWEST_SERVER

pytestmark = ON_NEWEST_SERVER
ROOT = Path(__file__).parents[3]
# Only the end of a process delivers, and it has time for that.
SETTINGS = {"CHAT_TELEMETRY_MAX_BATCH_AGE": "60", "CHAT_TELEMETRY_EXIT_TIMEOUT": "30"}


@pytest.mark.parametrize("kind", ["pool", "executor", *TASKS])
@pytest.mark.parametrize("method", ["fork", "fork after a record", "forkserver", "spawn"])
def test_a_child_process_delivers_its_records_when_it_ends(log: Log, method: str, kind: str) -> None:
    finished = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.loader.delivery.children", method, kind, str(log.user_id)],
        env={**os.environ, **SETTINGS, "CHAT_TELEMETRY_DATABASE_URL": log.conninfo},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert finished.stdout
    if kind != "has finalizers":  # such records are delivered or refused, as the order of the hooks is
        assert "0" not in finished.stdout
    assert len(log.stored_ids()) == finished.stdout.count("1")
