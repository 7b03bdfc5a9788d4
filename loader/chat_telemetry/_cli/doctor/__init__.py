"""`chat-telemetry doctor`: what is wrong with a database and its surroundings, each with the fix."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated

import psycopg
import typer

from chat_telemetry._cli.dbt_connection import DbtConnection
from chat_telemetry._cli.doctor import access, log, reports, surroundings
from chat_telemetry._cli.doctor.finding import Check, Finding, Found, Level
from chat_telemetry._cli.errors import ExitCode, NotReady, explain, one_line
from chat_telemetry._cli.journal_directory import JournalDirs, chosen
from chat_telemetry._cli.options import DatabaseUrl, connect
from chat_telemetry._errors import TelemetryError

CHECKS: dict[str, Check] = {
    "server": surroundings.connection_is_safe,
    "clocks": surroundings.clocks,
    "migrations": log.migrations,
    "log": log.shape,
    "indexes": log.INDEXES,
    "triggers": log.TRIGGERS,
    "trust": log.trust,
    "policies": access.ROW_SECURITY,
    "rights": access.RIGHTS,
    "grants": access.GRANTS,
    "api": access.API,
    "publications": log.PUBLICATIONS,
    "reports": reports.views,
    "freshness": reports.FRESHNESS,
    "rows": reports.ROWS,
}
NO_DBT = "what dbt sees is not checked"


def doctor(
    *,
    database_url: DatabaseUrl,
    journal_dir: JournalDirs = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print an array with an object per finding.")] = False,
) -> None:
    """Check the database, the access to it, the reports, dbt and the journals, and say how to fix what is wrong."""
    with connect(database_url) as connection:
        findings = [*_in_database(connection), *_of_dbt(), *_of_journals(chosen(journal_dir))]
    if as_json:
        typer.echo(json.dumps([finding._asdict() for finding in findings], indent=2))
    else:
        for finding in findings:
            _print(finding)
    levels = {finding.level for finding in findings}
    if Level.FAULT in levels:
        raise typer.Exit(ExitCode.ATTENTION)
    if Level.UNKNOWN in levels:
        raise typer.Exit(ExitCode.INCOMPLETE)


def _in_database(connection: psycopg.Connection) -> Iterator[Finding]:
    for name, check in CHECKS.items():
        yield from _examine(name, partial(check, connection))


def _of_dbt() -> Iterator[Finding]:
    try:
        target = DbtConnection.from_environment()
    except NotReady as error:
        yield Finding("dbt", Level.UNKNOWN, f"{NO_DBT}: {error}")
        return
    except (TelemetryError, typer.BadParameter) as error:
        yield Finding("dbt", Level.FAULT, one_line(str(error)), "correct CHAT_TELEMETRY_DBT_URL")
        return
    with ExitStack() as stack:
        try:
            connection = stack.enter_context(target.connected())
        except TelemetryError as error:
            yield Finding("dbt", Level.FAULT, str(error), "correct the connection of dbt")
            return
        yield from _examine("dbt", partial(surroundings.dbt, target, connection))
        yield from _examine("prices", partial(reports.prices, connection))


def _of_journals(directories: Sequence[Path]) -> Iterator[Finding]:
    for directory in directories:
        yield from _examine("journals", partial(surroundings.journals, directory))


def _examine(name: str, check: Callable[[], Iterator[Found]]) -> Iterator[Finding]:
    """The findings of one check. If it fails, the others are made all the same."""
    try:
        for level, text, fix in check():
            yield Finding(name, level, one_line(text), one_line(fix))
    except (psycopg.Error, TelemetryError, OSError) as error:
        explained = explain(error)
        yield Finding(name, Level.UNKNOWN, explained.message if explained else one_line(str(error)))


def _print(finding: Finding) -> None:
    fix = f". Fix: {finding.fix}" if finding.fix else ""
    typer.echo(f"{finding.level:<8} {finding.check:<12} {finding.text}{fix}")
