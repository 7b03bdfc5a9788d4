"""Runs dbt on the database of the demo in a child process, and shows its events as progress."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from chat_telemetry._cli.errors import CommandError, one_line
from chat_telemetry._cli.sql_project import project_directory

# The events of dbt for a finished seed, model or test.
FINISHED = ("LogSeedResult", "LogModelResult", "LogTestResult")

Notify = Callable[[str, int, int], None]


def build(directory: Path, port: int, passfile: Path, notify: Notify, lock: int) -> int:
    """Run `dbt build` as telemetry_transformer. Returns how many seeds, models and tests it ran.

    `passfile` has its password. dbt keeps the descriptor of the lock open: if the demo is killed, no other begins
    before this dbt has ended. Calls `notify` for each finished node with its name, its number and the total. Raises
    CommandError with the messages of dbt if one fails.
    """
    arguments = [
        "build",
        *_paths(),
        *("--target-path", str(directory / "target"), "--log-path", str(directory / "logs")),
        *("--log-format", "json", "--log-format-file", "text", "--log-level", "info"),
    ]
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", "from dbt.cli.main import cli; cli()", *arguments],
        env={**os.environ, **_variables(port, passfile)},
        pass_fds=[lock],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        try:
            finished, errors = _follow(process.stdout or [], notify)
        except BaseException:
            process.terminate()  # otherwise it would continue after an interrupted demo
            raise
    if process.returncode:
        messages = "; ".join(errors) or "dbt gave no reason"
        raise CommandError(f"dbt build failed: {messages} (see {directory / 'logs' / 'dbt.log'})")
    return finished


def command(port: int, passfile: Path) -> str:
    """The shell command that runs dbt on this database again."""
    dbt = str(Path(sys.executable).with_name("dbt"))
    assignments = [f"{name}={shlex.quote(text)}" for name, text in _variables(port, passfile).items()]
    return " ".join([*assignments, shlex.join([dbt, "build", *_paths()])])


def _variables(port: int, passfile: Path) -> dict[str, str]:
    return {
        "PYTHON_DOTENV_DISABLED": "1",  # dbt 1.12 reads a .env file in the working directory, perhaps of an application
        "PGPASSFILE": str(passfile),  # libpq reads it, because the target `demo` has an empty password
        "CHAT_TELEMETRY_DBT_PORT": str(port),
    }


def _paths() -> list[str]:
    project = str(project_directory())
    return ["--project-dir", project, "--profiles-dir", project, "--target", "demo"]


def _follow(lines: Iterable[str], notify: Notify) -> tuple[int, list[str]]:
    """Pass the events of dbt to `notify`. Returns how many nodes finished, and the error messages."""
    finished, errors = 0, []
    for line in lines:
        try:
            event = json.loads(line)
            info, data = event["info"], event["data"]
        except (ValueError, KeyError, TypeError):
            errors.append(one_line(line))  # not an event: a traceback or a warning of Python
            continue
        if info["name"] in FINISHED:
            finished += 1
            # The events of tests and of models have different names for the total.
            notify(data["node_info"]["node_name"], data["index"], data.get("total") or data["num_models"])
        if info["level"] == "error":
            errors.append(one_line(info["msg"]))
    return finished, errors
