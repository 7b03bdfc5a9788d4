from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from weakref import WeakSet

import pytest

from chat_telemetry import Stats, TelemetryClient
from chat_telemetry._delivery import thread as thread_module
from tests.loader.conftest import Log

SCRIPT = """
import sys
from uuid import UUID
from chat_telemetry import TelemetryRecord, persist_telemetry
for _ in range(int(sys.argv[2])):
    assert persist_telemetry(TelemetryRecord(user_id=UUID(sys.argv[1]), user_question="How many orders?"))
"""


def run_script(log: Log, database_url: str, records: int = 50, exit_timeout: int = 1) -> tuple[float, str]:
    """Run a program that ends right after its last record. Returns its duration in seconds and its stderr."""
    environment = {
        **os.environ,
        "CHAT_TELEMETRY_DATABASE_URL": database_url,
        "CHAT_TELEMETRY_EXIT_TIMEOUT": str(exit_timeout),
        "CHAT_TELEMETRY_MAX_BATCH_AGE": "60",
    }
    started = time.monotonic()
    finished = subprocess.run(
        [sys.executable, "-X", "dev", "-c", SCRIPT, str(log.user_id), str(records)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return time.monotonic() - started, finished.stderr


def test_a_program_delivers_its_records_before_it_ends(log: Log) -> None:
    _, stderr = run_script(log, log.conninfo, records=1200, exit_timeout=50)
    assert stderr == ""
    assert len(log.stored_ids()) == 1200


def test_a_program_ends_in_time_if_no_server_listens(log: Log) -> None:
    seconds, stderr = run_script(log, "host=127.0.0.1 port=1 user=app", exit_timeout=3)
    assert seconds < 30
    assert "Connection refused" in stderr
    assert "closed before everything was delivered: Stats(accepted=50, stored=0" in stderr


def test_a_program_ends_in_time_if_the_server_never_replies(log: Log) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        seconds, stderr = run_script(log, f"host=127.0.0.1 port={silent.getsockname()[1]} user=app")
    assert seconds < 30
    assert "closed before everything was delivered" in stderr


def test_a_program_ends_in_time_if_the_table_is_locked(log: Log) -> None:
    with log.database.connect() as other, other.transaction():
        other.execute("lock table public.chat_telemetry_log in access exclusive mode")
        seconds, stderr = run_script(log, log.conninfo)
        assert seconds < 30
        assert "closed before everything was delivered" in stderr


def test_at_exit_no_client_accepts_records_while_another_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thread_module, "_delivery_threads", WeakSet())
    clients = [TelemetryClient("host=/nowhere") for _ in range(3)]
    accepting: list[bool] = []
    monkeypatch.setattr(
        thread_module.DeliveryThread,
        "close",
        lambda delivery, timeout: accepting.extend(not client._queue.closed for client in clients),
    )
    thread_module._close_all()
    assert accepting == [False] * 9


def test_all_clients_of_a_program_share_the_exit_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thread_module, "_delivery_threads", WeakSet())
    clients = [TelemetryClient("host=/nowhere", exit_timeout=0.3) for _ in range(50)]
    for client in clients:
        client._queue.put(b"no thread takes it")
    started = time.monotonic()
    thread_module._close_all()
    assert 0.3 <= time.monotonic() - started < 14
    assert [client.stats() for client in clients] == [Stats(accepted=1, discarded_at_exit=1)] * 50
