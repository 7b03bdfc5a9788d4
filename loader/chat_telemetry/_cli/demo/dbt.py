"""Runs dbt on the demo's database as a process of its own, and turns its log into progress."""

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

# The events of dbt's log that tell of one finished seed, model or test.
FINISHED = ("LogSeedResult", "LogModelResult", "LogTestResult")

PORT = "CHAT_TELEMETRY_DBT_PORT"
# dbt 1.12 reads a .env file of the working directory or above it, where an application keeps what is not the demo's.
NO_DOTENV = {"PYTHON_DOTENV_DISABLED": "1"}

Notify = Callable[[str, int, int], None]


def build(directory: Path, port: int, notify: Notify) -> int:
    """`dbt build` as telemetry_transformer; return how many seeds, models and tests it ran.

    `notify` is told of each that is finished: its name, its number, and how many there are. Raises CommandError with
    dbt's own words if one fails.
    """
    arguments = [
        "build",
        *_paths(),
        *("--target-path", str(directory / "target"), "--log-path", str(directory / "logs")),
        *("--log-format", "json", "--log-format-file", "text", "--log-level", "info"),
    ]
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", "from dbt.cli.main import cli; cli()", *arguments],
        env={**os.environ, **NO_DOTENV, PORT: str(port)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        try:
            finished, faults = _follow(process.stdout or [], notify)
        except BaseException:
            process.terminate()  # else an interrupted demo would leave it at work
            raise
    if process.returncode:
        words = "; ".join(faults) or "it says nothing more"
        raise CommandError(f"dbt build failed: {words} (log: {directory / 'logs' / 'dbt.log'})")
    return finished


def command(port: int) -> str:
    """How to run dbt again by hand."""
    dbt = Path(sys.executable).with_name("dbt")
    return f"{PORT}={port} {shlex.join([str(dbt), 'build', *_paths()])}"


def _paths() -> list[str]:
    project = str(project_directory())
    return ["--project-dir", project, "--profiles-dir", project, "--target", "demo"]


def _follow(lines: Iterable[str], notify: Notify) -> tuple[int, list[str]]:
    """Pass dbt's log on; return how many nodes finished, and its errors."""
    finished, faults = 0, []
    for line in lines:
        try:
            event = json.loads(line)
            info, data = event["info"], event["data"]
        except (ValueError, KeyError, TypeError):
            faults.append(one_line(line))  # no event: a traceback or a warning of Python
            continue
        if info["name"] in FINISHED:
            finished += 1
            # One number, two names: a test's event calls it otherwise than a model's.
            notify(data["node_info"]["node_name"], data["index"], data.get("total") or data["num_models"])
        if info["level"] == "error":
            faults.append(one_line(info["msg"]))
    return finished, faults
