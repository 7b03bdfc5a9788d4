"""The commands put together, and the one place where an error becomes a line and an exit code."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from chat_telemetry._cli.demo import demo
from chat_telemetry._cli.errors import ExitCode, explain
from chat_telemetry._cli.load import load
from chat_telemetry._cli.migrate import migrate
from chat_telemetry._cli.replay import replay
from chat_telemetry._cli.report import report

EXIT_CODES = "\n\n".join(
    [
        "Exit codes:",
        "0: all done",
        "1: not all done: lines were set aside or refused, a migration or a model failed",
        "2: wrong use",
        "3: the database cannot be reached, or refuses",
        "4: something has to be done first: migrations, `dbt build`, installing an extra",
        "130: interrupted",
    ]
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (migrate, load, replay, report, demo):
    app.command()(command)


def run(args: list[str] | None = None) -> int:
    """Run one command line (default: the process's own) and return its exit code; no exception leaves but a bug's."""
    try:
        code = app(args, prog_name="chat-telemetry", standalone_mode=False)
        sys.stdout.flush()
        if code == ExitCode.INTERRUPTED:
            typer.echo("error: interrupted", err=True)
    except (BrokenPipeError, SystemExit):  # Typer and Rich turn the first into the second
        _discard_stdout()
        return ExitCode.BROKEN_PIPE
    except Exception as error:
        explained = explain(error)
        if explained is None:
            raise
        if explained.message:
            typer.echo(f"error: {explained.message}", err=True)
        return explained.code
    return code if isinstance(code, int) else ExitCode.DONE


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("chat-telemetry"))
        raise typer.Exit


@app.callback()
def _options(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Telemetry and reports for chat applications that answer questions by writing SQL."""


def _discard_stdout() -> None:
    """Keep the interpreter from complaining at exit about a pipe that nobody reads any more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
