"""`chat-telemetry check`: the alerts that are over their bound, now."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from chat_telemetry._cli.alerts.evaluation import Evaluation, compile_alerts, evaluate
from chat_telemetry._cli.alerts.webhook import Webhook, message, post
from chat_telemetry._cli.dbt_settings import DbtSettings, DbtVars
from chat_telemetry._cli.errors import CommandError, ExitCode
from chat_telemetry._cli.tables import number

NONE_IS_ON = "no alert is switched on: --vars sets their bounds, for example '{alert_usd_per_day: 50}'"


def check(
    *,
    dbt_vars: DbtVars = None,
    webhook: Webhook = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Evaluate the alerts, and print those that are over their bound. Remembers nothing."""
    with DbtSettings.from_environment(dbt_vars) as settings:
        with settings.start() as dbt:
            alerts = compile_alerts(dbt)
        with settings.connection.connected() as connection:
            evaluation = evaluate(connection, alerts)
            database = connection.info.dbname
    _print(evaluation, as_json)
    if webhook and evaluation.breaches:
        post(webhook, message(database, evaluation.breaches))
    if evaluation.failures:
        raise CommandError(evaluation.not_evaluated)
    if evaluation.breaches:
        raise typer.Exit(ExitCode.ATTENTION)


def _print(evaluation: Evaluation, as_json: bool) -> None:
    if as_json:
        over = [breach.as_json() for breach in evaluation.breaches]
        found = {"over": over, "evaluated": evaluation.evaluated, "not_evaluated": evaluation.failures}
        typer.echo(json.dumps(found, indent=2))
        return
    for breach in evaluation.breaches:
        typer.echo(str(breach))
    if evaluation.failures or evaluation.breaches:
        return
    if evaluation.evaluated:
        typer.echo(f"{number(evaluation.evaluated, 'alert')} evaluated, none over its bound", err=True)
    else:
        typer.echo(NONE_IS_ON, err=True)
