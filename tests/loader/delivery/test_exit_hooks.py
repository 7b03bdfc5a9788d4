"""Records that are persisted while the process ends: each is delivered if `persist` returned True, and only then."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from tests.loader.conftest import Log
from tests.loader.faults.conftest import ON_NEWEST_SERVER

pytestmark = ON_NEWEST_SERVER

PRELUDE = """
import atexit, os, sys, threading, time, weakref
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

def ask():
    from chat_telemetry import TelemetryRecord, persist_telemetry
    accepted = persist_telemetry(TelemetryRecord(user_id=UUID(sys.argv[1]), user_question="How many orders?"))
    os.write(1, b"1" if accepted else b"0")

def ask_in_thread():
    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()

def ask_new_client():
    from chat_telemetry import TelemetryClient, TelemetryRecord
    client = TelemetryClient()
    kept.append(client)
    accepted = client.persist(TelemetryRecord(user_id=UUID(sys.argv[1]), user_question="How many orders?"))
    os.write(1, b"1" if accepted else b"0")

kept = []

def forbid_threads():
    def fail(thread):
        raise RuntimeError("can't start new thread")
    threading.Thread.start = fail
"""
ENDS = {
    "a thread persists first after the main thread has ended": """
threading.Thread(target=lambda: (time.sleep(0.3), ask())).start()
""",
    "a pool persists first after the main thread has ended": """
pool = ThreadPoolExecutor(2)
for _ in range(3):
    pool.submit(lambda: (time.sleep(0.3), ask()))
""",
    "a hook that was registered before the package was imported": """
atexit.register(ask)
ask()
""",
    "a hook that was registered after the first record": """
ask()
atexit.register(ask)
""",
    "the first record in a hook that was registered first": """
atexit.register(ask)
import chat_telemetry
""",
    "the first record in a hook that was registered last": """
import chat_telemetry
atexit.register(ask)
""",
    "the package is imported by a hook": """
atexit.register(ask)
atexit.register(ask)
""",
    "the package is imported by a hook, and used by two clients": """
atexit.register(ask_new_client)
atexit.register(ask_new_client)
""",
    "a hook that creates a client after the exit has closed the others": """
atexit.register(ask_new_client)
ask()
""",
    "a finalizer of a living object": """
class Living: pass
living = Living()
weakref.finalize(living, ask)
ask()
""",
    "a finalizer that was registered last": """
ask()
class Living: pass
living = Living()
weakref.finalize(living, ask)
""",
    "a destructor": """
import chat_telemetry
class Living:
    def __del__(self, chat_telemetry=chat_telemetry, write=os.write, user=UUID(sys.argv[1])):
        record = chat_telemetry.TelemetryRecord(user_id=user, user_question="How many orders?")
        write(1, b"1" if chat_telemetry.persist_telemetry(record) else b"0")
living = Living()
ask()
""",
    "a hook of threading": """
threading._register_atexit(ask)
""",
    "a hook of threading after a record": """
ask()
threading._register_atexit(ask)
""",
    "no thread can be started": """
forbid_threads()
for _ in range(700):
    ask()
""",
    "no thread can be started, and the client is garbage": """
forbid_threads()
ask_new_client()
kept.clear()
""",
    "no thread can be started, and a client is closed": """
forbid_threads()
ask_new_client()
assert kept[0].close()
""",
    "no thread can be started, and a client is flushed": """
forbid_threads()
ask_new_client()
assert kept[0].flush()
ask_new_client()
""",
}


def run(log: Log, code: str) -> tuple[str, str]:
    """The digits that the program printed, and its stderr."""
    finished = subprocess.run(
        [sys.executable, "-c", PRELUDE + code, str(log.user_id)],
        env={**os.environ, "CHAT_TELEMETRY_DATABASE_URL": log.conninfo, "CHAT_TELEMETRY_EXIT_TIMEOUT": "30"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return finished.stdout, finished.stderr


@pytest.mark.parametrize("code", ENDS.values(), ids=ENDS.keys())
def test_what_is_accepted_while_a_program_ends_is_delivered_and_nothing_else(log: Log, code: str) -> None:
    started = time.monotonic()
    answers, stderr = run(log, code)
    assert time.monotonic() - started < 25
    assert "Traceback" not in stderr
    assert answers
    assert len(log.stored_ids()) == answers.count("1")
    assert "0" not in answers or "the client is closed: records are dropped" in stderr
