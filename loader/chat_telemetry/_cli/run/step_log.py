"""What a run prints: a line a step, for people or as JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import psycopg
import typer

from chat_telemetry._cli.errors import BY_SEVERITY, ExitCode, explain
from chat_telemetry._cli.progress import status
from chat_telemetry._errors import TelemetryError


class LogFormat(StrEnum):
    """How the steps are printed."""

    TEXT = "text"
    JSON = "json"


class Step:
    """A step in progress. `show` shows where it is, on a terminal."""

    def __init__(self, show: Callable[[str], None], *, is_silent: bool) -> None:
        self.show, self.is_silent = show, is_silent
        self.has_failed = self.is_news = False
        self.detail = ""
        self.more: dict[str, Any] = {}

    def say(self, detail: str) -> None:
        """What the line of the step says."""
        self.detail = detail

    def announce(self, detail: str, **more: Any) -> None:
        """The same for what nobody may miss. `more` is what else the JSON has."""
        self.detail, self.more, self.is_news = detail, more, True


class StepLog:
    """Prints the steps, and remembers the worst exit code."""

    def __init__(self, log_format: LogFormat, *, quiet: bool) -> None:
        self._format, self._quiet = log_format, quiet
        self.code = ExitCode.DONE

    @contextmanager
    def step(self, name: str, *, is_silent: bool = False) -> Iterator[Step]:
        """A step. An error is printed and remembered, and the next step begins; a bug is raised.

        A silent one prints a line only if it fails or says something.
        """
        started = time.monotonic()
        code, outcome = ExitCode.DONE, "ok"
        with self._progress(name) as show:
            step = Step(show, is_silent=is_silent)
            try:
                yield step
            except (psycopg.Error, TelemetryError, OSError) as error:
                explained = explain(error)
                assert explained is not None  # noqa: S101  # it knows these families
                code, outcome = explained.code, "busy" if explained.code is ExitCode.BUSY else "failed"
                # What was announced has to be seen, whatever failed after it.
                step.say(f"{step.detail}; {explained.message}" if step.is_news else explained.message)
                step.has_failed = True
        self.note(code)
        if not is_silent or code or step.detail:
            self._print(name, outcome, time.monotonic() - started, step)

    def note(self, code: ExitCode) -> None:
        """Remember the code if it is the worst one."""
        self.code = max(self.code, code, key=BY_SEVERITY.index)

    def finish(self) -> None:
        """The last line, for programs only."""
        if self._format is LogFormat.JSON:
            typer.echo(json.dumps({"time": _now(), "step": "end", "exit_code": int(self.code)}))

    def _progress(self, name: str) -> AbstractContextManager[Callable[[str], None]]:
        is_watched = sys.stderr.isatty() and not self._quiet and self._format is LogFormat.TEXT
        return status(name) if is_watched else nullcontext(lambda text: None)

    def _print(self, name: str, outcome: str, seconds: float, step: Step) -> None:
        if self._format is LogFormat.JSON:
            line = {"time": _now(), "step": name, "outcome": outcome, "seconds": round(seconds, 3)}
            typer.echo(json.dumps({**line, "detail": step.detail, **step.more}))
        elif outcome == "failed":
            typer.echo(f"error: {name}: {step.detail}", err=True)
        elif step.is_news:
            typer.echo(f"{name}: {step.detail}", err=True)
        elif not self._quiet:
            typer.echo(f"{_now()} {name:<10} {outcome:<4} {seconds:6.1f} s  {step.detail}")


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
