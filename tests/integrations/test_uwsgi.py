"""uWSGI's workers deliver their records when they end, with and without threads, also if a client forked with them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from uuid import UUID

import pytest

from tests.loader.conftest import Log, log, wait_until, writer  # noqa: F401 - fixtures
from tests.loader.faults.conftest import ON_NEWEST_SERVER

UWSGI = shutil.which("uwsgi", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
pytestmark = [pytest.mark.skipif(UWSGI is None, reason="uWSGI is not installed"), ON_NEWEST_SERVER]
ROOT = Path(__file__).parents[2]
REQUESTS = 40
MASTER = ["--master", "--processes", "2"]


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - a server of this test
            return bool(response.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False


@pytest.mark.parametrize("has_record_before_fork", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        [],
        MASTER,
        [*MASTER, "--enable-threads"],
        [*MASTER, "--lazy-apps"],
        [*MASTER, "--lazy-apps", "--enable-threads"],
        [*MASTER, "--max-requests", "5", "--min-worker-lifetime", "0"],
    ],
    ids=" ".join,
)
def test_uwsgi_delivers_the_record_of_each_request(
    log: Log,  # noqa: F811
    tmp_path: Path,
    options: list[str],
    has_record_before_fork: bool,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    environment = {
        **os.environ,
        "UWSGI_TEST_DIRECTORY": str(tmp_path),
        "UWSGI_TEST_USER": str(log.user_id),
        "UWSGI_TEST_RECORD_BEFORE_FORK": "1" if has_record_before_fork else "",
        "CHAT_TELEMETRY_DATABASE_URL": log.conninfo,
    }
    command = [str(UWSGI), "--http-socket", address, "--module", "tests.integrations.uwsgi_app", "--die-on-term"]
    server = subprocess.Popen([*command, *options], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    try:
        if has_record_before_fork and "--lazy-apps" not in options:
            # The master delivers the record of its own by its thread; it runs no exit hooks.
            wait_until(lambda: [*tmp_path.iterdir()])
            (before,) = tmp_path.iterdir()
            wait_until(lambda: answers(f"http://{address}/") and UUID(before.name) in log.stored_ids())
        for _ in range(REQUESTS + 1):
            wait_until(lambda: answers(f"http://{address}/"))
        time.sleep(1)  # a worker that gets the signal during a request runs no exit hooks
        server.terminate()
        server.wait(60)
    finally:
        server.kill()
    accepted = {path.name for path in tmp_path.iterdir()}
    assert len(accepted) > REQUESTS
    assert {str(log_id) for log_id in log.stored_ids()} == accepted
