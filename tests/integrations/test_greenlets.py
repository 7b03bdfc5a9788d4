"""With gevent or eventlet, a database that does not answer delays no other greenlet."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from tests.loader.conftest import Log, log, writer  # noqa: F401 - fixtures
from tests.loader.faults.conftest import ON_NEWEST_SERVER

pytestmark = ON_NEWEST_SERVER
PATCHES = {
    "gevent": "from gevent import monkey, sleep, spawn; monkey.patch_all()",
    "eventlet": "import eventlet; from eventlet import sleep, spawn; eventlet.monkey_patch()",
}
CODE = """
import sys, time
from uuid import UUID
from chat_telemetry import TelemetryClient, TelemetryRecord

def beat():
    global latest
    while True:
        started = time.monotonic()
        sleep(0.01)
        latest = max(latest, time.monotonic() - started)

client = TelemetryClient(sys.argv[1], batch_timeout=5.0, max_batch_age=0.01)
assert client.persist(TelemetryRecord(user_id=UUID(sys.argv[2]), user_question="How many orders?"))
latest = 0.0
spawn(beat)
assert not client.flush(8)
assert latest < 4, latest
assert not client.close(1)
assert latest < 4, latest
assert client.stats().discarded_at_exit == 1
"""


@pytest.mark.parametrize("library", PATCHES)
def test_a_locked_table_blocks_no_greenlet(log: Log, library: str) -> None:  # noqa: F811
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    with log.database.connect() as other, other.transaction():
        other.execute("lock table public.chat_telemetry_log in access exclusive mode")
        command = [sys.executable, "-W", "ignore", "-c", PATCHES[library] + CODE, log.conninfo, str(log.user_id)]
        finished = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert finished.returncode == 0, finished.stderr
