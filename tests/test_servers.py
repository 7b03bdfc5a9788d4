"""Which servers the tests run on. A server that cannot be had ends the run with one line, and skips nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import conftest, debian_postgres

ROOT = Path(__file__).parents[1]
ONE_FILE = "tests/migrations/test_nullable.py"
Run = Callable[[str], subprocess.CompletedProcess[str]]


@pytest.fixture
def collect(tmp_path: Path) -> Run:
    """Collect the tests of one file with CHAT_TELEMETRY_TEST_SERVERS set."""

    def run(servers: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CHAT_TELEMETRY_")}
        return subprocess.run(
            [sys.executable, "-m", "pytest", "--collect-only", f"--basetemp={tmp_path}/pytest", "-n", "0", ONE_FILE],
            cwd=ROOT,
            env={**environment, "CHAT_TELEMETRY_TEST_SERVERS": servers},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_each_test_runs_on_each_server_that_is_named(collect: Run) -> None:
    collected = collect("postgres18 postgres16").stdout
    assert "[postgres18]" in collected
    assert "[postgres16]" in collected
    assert "[postgres16]" not in collect("postgres18").stdout


def test_a_server_that_nobody_knows_ends_the_run_with_one_line(collect: Run) -> None:
    finished = collect("postgres14")
    assert finished.returncode == pytest.ExitCode.USAGE_ERROR
    message = "ERROR: CHAT_TELEMETRY_TEST_SERVERS: postgres14 is not postgres16, postgres18, postgres15, citus"
    assert (finished.stdout + finished.stderr).strip() == message


def test_without_debians_server_the_run_ends_with_the_name_of_its_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(debian_postgres, "PROGRAMS", tmp_path)
    monkeypatch.setattr(conftest, "SERVERS", ["postgres15"])
    with pytest.raises(pytest.UsageError, match=r"\A\S+ has no PostgreSQL 15: apt-get install postgresql-15\Z"):
        conftest.pytest_configure()
