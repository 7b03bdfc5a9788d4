"""Runs dbt on the installed project in a child process, and shows its events as progress."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any

from chat_telemetry._cli.errors import CommandError, one_line
from chat_telemetry._cli.sql_project import project_directory

# The events of dbt for a finished seed, model or test.
FINISHED = ("LogSeedResult", "LogModelResult", "LogTestResult")
# dbt 1.12 reads a .env file in the working directory or above it, which may belong to an application.
NO_DOTENV = {"PYTHON_DOTENV_DISABLED": "1"}
# Without -P, Python would import modules of the working directory.
CHILD = ("-P", "-m", "chat_telemetry._cli.dbt_child")
# dbt gathers flags and memory: after a hundred commands in one process, each one takes twice the time.
COMMANDS_OF_A_CHILD = 50
CLOSE_TIMEOUT_S = 10.0

Notify = Callable[[str], object]


class DbtFailed(CommandError):
    """dbt failed. The message has the messages of dbt."""


@dataclass
class Finished:
    """What a command of dbt did."""

    nodes: int = 0
    """How many seeds, models and tests it ran."""
    compiled: dict[str, str] = field(default_factory=dict)
    """The SQL of the data tests that it compiled, by their names."""
    messages: dict[str, str] = field(default_factory=dict)
    """By the name of a model: what its run function returned, for example `20 changes drained`."""


class DbtProcess:
    """dbt in a child process. It runs commands one after another, and parses the project only once for many of them.

    dbt writes into the directory `files` only, and keeps the descriptors of `keep_open`. `options` are those of every
    command. The child has a session of its own, so that Ctrl-C does not interrupt it. If this process is killed, the
    child ends after the current command.
    """

    def __init__(
        self,
        files: Path,
        options: Sequence[str] = (),
        *,
        environment: Mapping[str, str] | None = None,
        keep_open: Sequence[int] = (),
    ) -> None:
        shared = [
            *project_options(),
            *("--target-path", str(files / "target"), "--log-path", str(files / "logs")),
            *("--log-format", "json", "--log-format-file", "text", "--log-level", "info", "--no-use-colors"),
            "--no-write-json",  # the files have messages of the server, nothing here reads them, and they take time
            *options,
        ]
        self._start = partial(
            subprocess.Popen[str],
            [sys.executable, *CHILD, *shared],
            env={**own_environment(), **(environment or {})},
            pass_fds=keep_open,
            start_new_session=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self._process = self._start()
        self._commands = 0

    @property
    def pid(self) -> int:
        """The id of the child."""
        return self._process.pid

    def run(self, *arguments: str, notify: Notify = lambda text: None) -> Finished:
        """Run `dbt ARGUMENTS`. `parse` only reads the project, which every other command does first.

        `notify` gets a text for each finished node: its number, the total, and its name. Raises DbtFailed if dbt or a
        node fails.
        """
        if self._commands == COMMANDS_OF_A_CHILD:
            self.close()
            self._process, self._commands = self._start(), 0
        self._commands += 1
        finished, errors, code = Finished(), list[str](), None
        with suppress(BrokenPipeError):  # it ended, and its last lines say why
            print(json.dumps(arguments), file=self._process.stdin, flush=True)
        for line in self._process.stdout or ():
            event = _event(line)
            if "exit" in event:
                code, finished.compiled = event["exit"], event.get("compiled", {})
                break
            _follow(event, finished, errors, notify)
        if code != 0:
            raise DbtFailed(f"dbt {arguments[0]} failed: {'; '.join(errors) or 'dbt gave no reason'}")
        return finished

    def close(self) -> None:
        """End the child."""
        with self._process as process:
            with suppress(BrokenPipeError):
                process.stdin.close()  # type: ignore[union-attr]  # it is a pipe
            try:
                process.wait(CLOSE_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()

    def __enter__(self) -> DbtProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None and not isinstance(error, DbtFailed):
            self._process.terminate()  # in the middle of a command, perhaps
        self.close()


def is_installed() -> bool:
    """Whether dbt with its adapter for PostgreSQL is in the environment of this Python."""
    return find_spec("dbt") is not None and find_spec("dbt.adapters.postgres") is not None


def project_options() -> list[str]:
    """The options with which dbt finds the installed project and its profile."""
    project = str(project_directory())
    return ["--project-dir", project, "--profiles-dir", project]


def own_environment() -> dict[str, str]:
    """Without the variables that are options of dbt: DBT_EMPTY or DBT_TARGET would change what a run does."""
    kept = {name: value for name, value in os.environ.items() if name[:4] != "DBT_" or name.startswith("DBT_ENV_")}
    return kept | NO_DOTENV


def _event(line: str) -> dict[str, Any]:
    """A line of the child. What is no event, for example a traceback or a warning of Python, becomes an error."""
    with suppress(ValueError):
        event = json.loads(line)
        if isinstance(event, dict) and ("exit" in event or {"info", "data"} <= event.keys()):
            return event
    return {"info": {"level": "error", "msg": line}, "data": {}}


def _follow(event: Mapping[str, Any], finished: Finished, errors: list[str], notify: Notify) -> None:
    info, data = event["info"], event["data"]
    if info.get("name") in FINISHED:
        name = data.get("node_info", {}).get("node_name", "?")
        finished.nodes += 1
        finished.messages[name] = str(data.get("status", ""))
        # The events of tests and of models have different names for the total.
        total = data.get("total") or data.get("num_models", "?")
        # dbt writes asterisks for its password, even where it is part of a name.
        notify(f"{data.get('index', '?')} of {total}, {name}")
    if info.get("level") == "error":
        errors.append(one_line(info.get("msg", "")))
