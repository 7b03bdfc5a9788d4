"""Runs dbt on the installed project in a child process, and shows its events as progress."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from chat_telemetry._cli.errors import CommandError, NotReady, one_line
from chat_telemetry._cli.sql_project import project_directory

# The events of dbt for a finished seed, model or test.
FINISHED = ("LogSeedResult", "LogModelResult", "LogTestResult")
# dbt 1.12 reads a .env file in the working directory or above it, which may belong to an application.
NO_DOTENV = {"PYTHON_DOTENV_DISABLED": "1"}

Notify = Callable[[str], object]


class DbtFailed(CommandError):
    """dbt failed. The message has the messages of dbt."""


@dataclass(frozen=True)
class Target:
    """What the variables CHAT_TELEMETRY_DBT_* say, with the defaults of profiles.yml."""

    connection: Mapping[str, Any]
    """The parameters of a connection as dbt's role."""
    schema: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Target:
        """Raises NotReady if a variable without a default is missing, as dbt would."""
        connection = {
            "host": environment.get("CHAT_TELEMETRY_DBT_HOST"),
            "port": environment.get("CHAT_TELEMETRY_DBT_PORT", "5432"),
            "user": environment.get("CHAT_TELEMETRY_DBT_USER", "telemetry_transformer"),
            "password": environment.get("DBT_ENV_SECRET_CHAT_TELEMETRY_PASSWORD"),
            "dbname": environment.get("CHAT_TELEMETRY_DBT_DATABASE"),
        }
        variables = {
            "host": "CHAT_TELEMETRY_DBT_HOST",
            "dbname": "CHAT_TELEMETRY_DBT_DATABASE",
            "password": "DBT_ENV_SECRET_CHAT_TELEMETRY_PASSWORD",
        }
        if missing := [variable for name, variable in variables.items() if connection[name] is None]:
            raise NotReady(f"the connection of dbt is not known: set {', '.join(missing)}")
        return cls(connection, environment.get("CHAT_TELEMETRY_DBT_SCHEMA", "chat_telemetry"))


def is_installed() -> bool:
    """Whether dbt with its adapter for PostgreSQL is in the environment of this Python."""
    return find_spec("dbt") is not None and find_spec("dbt.adapters.postgres") is not None


def run(
    *arguments: str,
    files: Path,
    environment: Mapping[str, str] | None = None,
    notify: Notify = lambda text: None,
    keep_open: Sequence[int] = (),
) -> int:
    """Run `dbt ARGUMENTS` on the installed project. Returns how many seeds, models and tests it ran.

    dbt writes into the directory `files` only, and keeps the descriptors of `keep_open`. `notify` gets a
    text for each finished node: its number, the total, and its name. Raises DbtFailed if dbt or a node fails.
    """
    options = [
        *project_options(),
        *("--target-path", str(files / "target"), "--log-path", str(files / "logs")),
        *("--log-format", "json", "--log-format-file", "text", "--log-level", "info"),
    ]
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", "from dbt.cli.main import cli; cli()", *arguments, *options],
        env={**_own_environment(), **NO_DOTENV, **(environment or {})},
        pass_fds=keep_open,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        try:
            finished, errors = _follow(process.stdout or [], notify)
        except BaseException:
            process.terminate()  # otherwise it would continue after an interrupted command
            raise
    if process.returncode:
        raise DbtFailed(f"dbt {arguments[0]} failed: {'; '.join(errors) or 'dbt gave no reason'}")
    return finished


def project_options() -> list[str]:
    """The options with which dbt finds the installed project and its profile."""
    project = str(project_directory())
    return ["--project-dir", project, "--profiles-dir", project]


def _own_environment() -> dict[str, str]:
    """Without the variables that are options of dbt: DBT_EMPTY or DBT_TARGET would change what a run does."""
    return {name: value for name, value in os.environ.items() if name[:4] != "DBT_" or name.startswith("DBT_ENV_")}


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
        if info.get("name") in FINISHED:
            finished += 1
            # The events of tests and of models have different names for the total.
            total = data.get("total") or data.get("num_models", "?")
            # dbt writes asterisks for its password, even where it is part of a name.
            notify(f"{data.get('index', '?')} of {total}, {data.get('node_info', {}).get('node_name', '?')}")
        if info.get("level") == "error":
            errors.append(one_line(info.get("msg", line)))
    return finished, errors
