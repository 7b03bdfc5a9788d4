"""On Windows, which lacks fcntl and parts of os, the loader delivers from memory. Here a child process lacks them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.loader.conftest import Log

TAKE_AWAY = """
import os, sys
sys.modules.update(fcntl=None, pwd=None, grp=None, resource=None)
MISSING = ["O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "fchmod", "fork", "getegid", "geteuid", "getgid", "getuid", "pread",
    "register_at_fork"]
for name in MISSING:
    delattr(os, name)
"""
DELIVER = """
from uuid import UUID
from chat_telemetry import TelemetryRecord, close, observe_chat, persist_telemetry, stats
user = UUID(sys.argv[1])
for _ in range(3):
    assert persist_telemetry(TelemetryRecord(user_id=user, user_question="How many orders?"))
with observe_chat(user_id=user, user_question="How many users?") as chat:
    with chat.step("nl_to_sql"):
        pass
assert close(), stats()
print(stats().stored, stats().journal_failures)
"""
RUN_COMMAND = """
from chat_telemetry._cli.app import run
sys.exit(run(sys.argv[1:]))
"""


def run_without_posix(script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", TAKE_AWAY + script, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("has_journal", [False, True])
def test_records_are_delivered_from_memory_and_a_journal_is_one_warning(
    log: Log, tmp_path: Path, has_journal: bool
) -> None:
    environment = {"CHAT_TELEMETRY_DATABASE_URL": log.conninfo}
    if has_journal:
        environment["CHAT_TELEMETRY_JOURNAL_DIR"] = str(tmp_path / "journal")
    finished = run_without_posix(DELIVER, str(log.user_id), **environment)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout == "4 0\n"
    warning = "a journal needs a POSIX system: records are in memory only\n"
    assert finished.stderr == (warning if has_journal else "")
    assert len(log.stored_ids()) == 4
    assert list(tmp_path.iterdir()) == []


def test_a_replay_is_refused_in_one_line(log: Log, tmp_path: Path) -> None:
    url = {"CHAT_TELEMETRY_DATABASE_URL": log.conninfo}
    finished = run_without_posix(RUN_COMMAND, "replay", "--journal-dir", str(tmp_path), **url)
    assert (finished.returncode, finished.stderr) == (2, "error: a journal needs a POSIX system\n")


def test_a_file_is_loaded_and_its_rejects_are_written(log: Log, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text(f'{{"user_id":"{log.user_id}","user_question":"q"}}\nbad\n')
    finished = run_without_posix(
        RUN_COMMAND, "load", str(tmp_path / "in.jsonl"), CHAT_TELEMETRY_DATABASE_URL=log.conninfo
    )
    assert finished.returncode == 1, finished.stderr
    assert len(log.stored_ids()) == 1
    assert (tmp_path / "in.jsonl.rejected.jsonl").read_text() == "bad\n"
