"""Runs the command line: in this process, or as a process if a test is about processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chat_telemetry._cli.app import run
from tests.conftest import Database


@dataclass(frozen=True)
class Outcome:
    """The exit code of a command, its stdout and its stderr."""

    code: int
    out: str
    err: str


Cli = Callable[..., Outcome]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run `chat-telemetry ARGUMENTS` in an empty working directory, with no database in the environment."""
    monkeypatch.chdir(tmp_path)
    for variable in ("CHAT_TELEMETRY_DATABASE_URL", "DATABASE_URL", "PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE"):
        monkeypatch.delenv(variable, raising=False)

    def invoke(*arguments: str, database: Database | None = None) -> Outcome:
        if database is not None:
            monkeypatch.setenv("CHAT_TELEMETRY_DATABASE_URL", database.conninfo)
        capsys.readouterr()
        code = run(list(arguments))
        return Outcome(code, *capsys.readouterr())

    return invoke


def process(*arguments: str, cwd: Path, environment: Mapping[str, str], stdin: bytes = b"") -> Outcome:
    """Run `chat-telemetry ARGUMENTS` as a process, with `environment` in addition to that of this process."""
    finished = subprocess.run(
        [sys.executable, "-c", "from chat_telemetry._cli import main; main()", *arguments],
        input=stdin,
        capture_output=True,
        cwd=cwd,
        env={**os.environ, **environment},
        check=False,
    )
    return Outcome(finished.returncode, finished.stdout.decode(), finished.stderr.decode())


def line(user: uuid.UUID, **columns: Any) -> str:
    """A JSON line with a new log_id, a question and these columns. None removes a column."""
    record = {"log_id": str(uuid.uuid4()), "user_id": str(user), "user_question": "How many orders?", **columns}
    return json.dumps({name: value for name, value in record.items() if value is not None})


def count(database: Database) -> int:
    """The number of rows in the log."""
    with database.connect() as connection:
        row = connection.execute("select count(*) from public.chat_telemetry_log").fetchone()
    assert row is not None
    return int(row[0])
