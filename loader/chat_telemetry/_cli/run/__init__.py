"""`chat-telemetry run`: all that a schedule has to do, once or again and again."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from chat_telemetry._cli.alerts.webhook import Webhook
from chat_telemetry._cli.dbt_settings import DbtSettings, DbtVars
from chat_telemetry._cli.durations import duration
from chat_telemetry._cli.errors import ExitCode
from chat_telemetry._cli.run.cycle import Cycles
from chat_telemetry._cli.run.step_log import LogFormat, StepLog
from chat_telemetry._cli.run.stopping import Stop

# After failures the pause doubles up to this, or to the time between two cycles if that is longer.
LONGEST_PAUSE_S = 900.0
NO_FAILURES = (ExitCode.DONE, ExitCode.ATTENTION, ExitCode.BUSY)


def run(
    *,
    every: Annotated[
        timedelta | None,
        typer.Option(parser=duration, metavar="TIME", help="Stay, and begin a cycle every 30s, 5m, 1h …"),
    ] = None,
    dbt_vars: DbtVars = None,
    webhook: Webhook = None,
    dashboard: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the dashboard to this file in each cycle.")
    ] = None,
    log_format: Annotated[LogFormat, typer.Option("--log-format", help="json: one object a line.")] = LogFormat.TEXT,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
) -> None:
    """Check the migrations, load price lists, run dbt, look at freshness and alerts, write the dashboard."""
    log = StepLog(log_format, quiet=quiet)
    with (
        DbtSettings.from_environment(dbt_vars) as settings,
        Stop.on_signals() as stop,
        Cycles(settings, log, stop, webhook, dashboard) as cycles,
    ):
        if every is not None:
            run_until_stopped(cycles, log, stop, every.total_seconds())
            return
        cycles.run()
        if stop.is_requested:
            log.note(ExitCode.INTERRUPTED)
    log.finish()
    raise typer.Exit(log.code)


def run_until_stopped(cycles: Cycles, log: StepLog, stop: Stop, pause: float) -> None:
    """Begin a cycle every `pause` seconds. After failures in a row the pause doubles each time."""
    failures = 0
    while not stop.is_requested:
        began = time.monotonic()
        log.code = ExitCode.DONE
        cycles.run()
        failures = 0 if log.code in NO_FAILURES else failures + 1
        longest = max(pause, LONGEST_PAUSE_S)
        stop.wait(began + min(pause * 2 ** min(failures, 20), longest) - time.monotonic())
