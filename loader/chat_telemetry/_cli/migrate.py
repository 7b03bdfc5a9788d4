"""`chat-telemetry migrate`: apply migrations, show their state, roll back the last one, or hand over the feed."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from chat_telemetry._cli.errors import UsageError
from chat_telemetry._cli.migrations import apply_migrations, hand_over, migration_status, roll_back_last
from chat_telemetry._cli.options import DatabaseUrl, ask


def migrate(
    database_url: DatabaseUrl,
    status: Annotated[
        bool, typer.Option("--status", help="Show which migrations are applied, and change nothing.")
    ] = False,
    rollback: Annotated[bool, typer.Option("--rollback", help="Undo the last applied migration.")] = False,
    owner: Annotated[
        str | None,
        typer.Option(metavar="SCHEMA", help="Hand the change feed over to this dbt target schema, and apply nothing."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before --rollback.")] = False,
) -> None:
    """Apply the migrations that the database lacks."""
    if status + rollback + (owner is not None) > 1:
        raise UsageError("--status, --rollback and --owner exclude each other")
    if owner is not None:
        _hand_over(database_url, owner)
    elif status:
        _show_status(database_url)
    elif rollback:
        _roll_back(database_url, yes)
    else:
        _apply(database_url)


def _apply(conninfo: str) -> None:
    applied = apply_migrations(conninfo, lambda name: typer.echo(f"applied {name}"))
    typer.echo(f"{len(applied)} applied, the database is up to date" if applied else "nothing to do: up to date")


def _hand_over(conninfo: str, owner: str) -> None:
    if not owner.strip():
        raise UsageError("--owner needs the schema of a dbt target, for example --owner chat_telemetry")
    hand_over(conninfo, owner)
    typer.echo(f"the dbt target schema {owner} owns the change feed: runs of other targets stop with an error")


def _show_status(conninfo: str) -> None:
    table = Table("migration", "state", box=None, pad_edge=False)
    for migration in migration_status(conninfo):
        table.add_row(migration.name, "applied" if migration.applied else "pending")
    Console(soft_wrap=True).print(table)


def _roll_back(conninfo: str, yes: bool) -> None:
    newest = next((m.name for m in reversed(migration_status(conninfo)) if m.applied), None)
    if newest is None:
        typer.echo("nothing to do: no migration is applied")
        return
    ask(f"Undo {newest}?", what="--rollback", yes=yes, if_no="nothing was rolled back")
    roll_back_last(conninfo, lambda name: typer.echo(f"rolled back {name}"))
