"""How the demo runs dbt: what it shows of dbt's events, and that dbt ends with it."""

from __future__ import annotations

import fcntl
import json
import sys
import time
from pathlib import Path

import pytest

from chat_telemetry._cli.demo import dbt
from chat_telemetry._cli.errors import CommandError
from tests.loader.conftest import wait_until

MODEL = {
    "info": {"name": "LogModelResult", "level": "info", "msg": "OK"},
    "data": {"node_info": {"node_name": "off_topic"}, "index": 3, "total": 9},
}
TEST = {
    "info": {"name": "LogTestResult", "level": "error", "msg": "FAIL 2"},
    "data": {"node_info": {"node_name": "unique"}, "index": 4, "num_models": 9},
}
OTHER = {"info": {"name": "MainReportVersion", "level": "info", "msg": "Running with dbt"}, "data": {}}


@pytest.fixture
def events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of lines that a program prints instead of dbt, before it ends with 1 or sleeps."""
    program = tmp_path / "dbt"
    program.write_text('#!/bin/sh\ncat "$(dirname "$0")/events"\n. "$(dirname "$0")/end"\n')
    program.chmod(0o755)
    (tmp_path / "end").write_text("exit 1\n")
    monkeypatch.setattr(sys, "executable", str(program))
    return tmp_path / "events"


def test_each_finished_node_is_shown_and_the_errors_are_in_the_message(events: Path, tmp_path: Path) -> None:
    events.write_text("\n".join(json.dumps(event) for event in (OTHER, MODEL, TEST)) + "\nTraceback\n")
    shown: list[str] = []
    with pytest.raises(CommandError) as failure:
        dbt.build(tmp_path, 5432, tmp_path / "pgpass", shown.append, 0)
    assert shown == ["3 of 9, off_topic", "4 of 9, unique"]
    assert str(failure.value) == f"dbt build failed: FAIL 2; Traceback (see {tmp_path}/logs/dbt.log)"


@pytest.mark.parametrize("line", ["Traceback", "{}", "5"])
def test_a_line_that_is_no_event_is_a_reason(events: Path, tmp_path: Path, line: str) -> None:
    events.write_text(f"{line}\n")
    with pytest.raises(CommandError, match=f"dbt build failed: {line} "):
        dbt.build(tmp_path, 5432, tmp_path / "pgpass", lambda text: None, 0)


def test_a_build_that_fails_silently_says_that_it_gave_no_reason(events: Path, tmp_path: Path) -> None:
    events.write_text("")
    with pytest.raises(CommandError, match="dbt build failed: dbt gave no reason"):
        dbt.build(tmp_path, 5432, tmp_path / "pgpass", lambda text: None, 0)


def test_the_finished_nodes_of_a_build_that_passed_are_counted(events: Path, tmp_path: Path) -> None:
    events.write_text("\n".join(json.dumps(event) for event in (OTHER, MODEL, MODEL)) + "\n")
    (tmp_path / "end").write_text("""echo '{"exit": 0}'\n""")
    assert dbt.build(tmp_path, 5432, tmp_path / "pgpass", lambda text: None, 0) == 2


def test_dbt_ends_with_an_interrupted_demo(events: Path, tmp_path: Path) -> None:
    events.write_text(json.dumps(MODEL) + "\n")
    (tmp_path / "end").write_text("exec sleep 60\n")

    def interrupt(text: str) -> None:
        raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        dbt.build(tmp_path, 5432, tmp_path / "pgpass", interrupt, 0)
    assert time.monotonic() - started < 30


def test_the_lock_of_a_killed_demo_lasts_until_its_dbt_has_ended(events: Path, tmp_path: Path) -> None:
    events.write_text(json.dumps(MODEL) + "\n")
    (tmp_path / "end").write_text("exec sleep 60\n")

    def lose_the_lock(text: str) -> None:
        lock.close()
        with (tmp_path / "lock").open() as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        raise KeyboardInterrupt

    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(KeyboardInterrupt):
            dbt.build(tmp_path, 5432, tmp_path / "pgpass", lose_the_lock, lock.fileno())
    wait_until(lambda: is_free(tmp_path / "lock"))  # a program that dbt started may end a little later


def is_free(lock: Path) -> bool:
    with lock.open() as other:
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
