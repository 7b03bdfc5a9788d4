"""The commands, and the one place that turns an exception into an error line and an exit code."""

from __future__ import annotations

import io
import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from chat_telemetry._cli.alerts import check
from chat_telemetry._cli.dashboard import dashboard
from chat_telemetry._cli.dbt_command import dbt
from chat_telemetry._cli.demo import demo
from chat_telemetry._cli.doctor import doctor
from chat_telemetry._cli.erase import erase
from chat_telemetry._cli.errors import ExitCode, explain
from chat_telemetry._cli.load import load
from chat_telemetry._cli.migrate import migrate
from chat_telemetry._cli.prices import prices
from chat_telemetry._cli.prune import prune
from chat_telemetry._cli.replay import replay
from chat_telemetry._cli.report import report
from chat_telemetry._cli.run import run as run_reports

EXIT_CODES = "\n\n".join(
    [
        "Exit codes:",
        "0: all done",
        "1: incomplete: lines or records were rejected, a migration or a dbt node failed, something of a user is left",
        "2: usage error",
        "3: the database cannot be reached, or rejects the command",
        "4: a requirement is missing: migrations, `dbt build`, an extra of the package",
        "5: another run is in progress",
        "6: an alert is over its bound, or doctor found a fault",
        "130: interrupted",
        "141: the reader of stdout has ended",
    ]
)

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (migrate, load, replay, report, dashboard, check, doctor, erase, prune, demo):
    app.command()(command)
app.command(name="run")(run_reports)
app.command(add_help_option=False, context_settings={"ignore_unknown_options": True})(dbt)
app.add_typer(prices, name="prices")


def run(args: list[str] | None = None) -> int:
    """Run one command line, by default that of the process, and return its exit code. Raises only if there is a bug."""
    for stream in (sys.stdout, sys.stderr):
        # A latin-1 terminal has not every character of a report. csv and json are always UTF-8.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        code = app(args, prog_name="chat-telemetry", standalone_mode=False)
        sys.stdout.flush()
        if code == ExitCode.INTERRUPTED:
            typer.echo("error: interrupted", err=True)
    except (BrokenPipeError, SystemExit):  # Typer and Rich turn BrokenPipeError into SystemExit
        _discard_stdout()
        return ExitCode.BROKEN_PIPE
    except typer.Abort:  # Ctrl-C or Ctrl-D at a question, which leaves the cursor behind it
        typer.echo("\nerror: interrupted", err=True)
        return ExitCode.INTERRUPTED
    except UnicodeEncodeError:
        if "".join(sys.argv[1:] if args is None else args).isprintable():
            raise
        typer.echo("error: the arguments are not UTF-8", err=True)
        return ExitCode.USAGE_ERROR
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
    """Redirect stdout, so that the interpreter does not report the closed pipe at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
