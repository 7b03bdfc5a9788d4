"""`chat-telemetry migrate`: apply migrations, show their state, roll back the last one, or hand over the feed."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from chat_telemetry._cli.errors import ExitCode, UsageError, one_line
from chat_telemetry._cli.migrations import Listener, apply_migrations, hand_over, migration_status, roll_back_last
from chat_telemetry._cli.migrations.rights import lost_rights
from chat_telemetry._cli.options import DatabaseUrl, Quiet, ask

RESTRICTS = "_restrict_log_access"


def migrate(
    *,
    database_url: DatabaseUrl,
    status: Annotated[
        bool, typer.Option("--status", help="Show which migrations are applied, and change nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --status: an object for programs.")] = False,
    rollback: Annotated[bool, typer.Option("--rollback", help="Undo the last applied migration.")] = False,
    owner: Annotated[
        str | None,
        typer.Option(metavar="SCHEMA", help="Hand the change feed over to this dbt target schema, and apply nothing."),
    ] = None,
    keep_rights: Annotated[
        bool, typer.Option("--keep-rights", help="Keep the grants and policies of a log that existed before.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    quiet: Quiet = False,
) -> None:
    """Apply the migrations that the database lacks."""
    if status + rollback + (owner is not None) + keep_rights > 1:
        raise UsageError("--status, --rollback, --owner and --keep-rights exclude each other")
    if as_json and not status:
        raise UsageError("--json needs --status")
    if owner is not None:
        _hand_over(database_url, owner)
    elif status:
        _show_status(database_url, as_json)
    elif rollback:
        _roll_back(database_url, yes, quiet)
    else:
        _apply(database_url, keep_rights, yes, quiet)


def _apply(conninfo: str, keep_rights: bool, yes: bool, quiet: bool) -> None:
    if not keep_rights and (lost := _lost_rights(conninfo)):
        typer.echo("public.chat_telemetry_log has rights and policies that will be removed:", err=True)
        for line in lost:
            typer.echo(f"    {line}", err=True)
        typer.echo("--keep-rights keeps them", err=True)
        if sys.stdin.isatty():
            ask("Remove them?", what="migrate", yes=yes, if_no="nothing was changed")
    applied = apply_migrations(conninfo, _listener("applied", quiet), keep_rights=keep_rights)
    if not quiet:
        typer.echo(f"{len(applied)} applied, the database is up to date" if applied else "nothing to do: up to date")


def _lost_rights(conninfo: str) -> list[str]:
    """Rights that the next `migrate` would remove."""
    if any(m.applied for m in migration_status(conninfo) if m.name.endswith(RESTRICTS)):
        return []
    return [one_line(line) for line in lost_rights(conninfo)]


def _hand_over(conninfo: str, owner: str) -> None:
    owner = owner.strip()
    if not owner or one_line(owner) != owner:
        raise UsageError("--owner needs the schema of a dbt target, for example --owner chat_telemetry")
    hand_over(conninfo, owner)
    typer.echo(f"the dbt target schema {owner} owns the change feed: runs of other targets stop with an error")


def _show_status(conninfo: str, as_json: bool) -> None:
    """Exits with NOT_READY if a migration is pending."""
    migrations, lost = migration_status(conninfo), _lost_rights(conninfo)
    pending = sum(not migration.applied for migration in migrations)
    if as_json:
        status = {"pending": pending, "migrations": [asdict(m) for m in migrations], "rights_to_be_removed": lost}
        typer.echo(json.dumps(status, indent=2))
    else:
        table = Table("migration", "state", box=None, pad_edge=False)
        for migration in migrations:
            table.add_row(migration.name, "applied" if migration.applied else "pending")
        Console(soft_wrap=True).print(table)
        for line in lost:
            typer.echo(f"`migrate` will remove, unless --keep-rights is given: {line}", err=True)
    if pending:
        raise typer.Exit(ExitCode.NOT_READY)


def _roll_back(conninfo: str, yes: bool, quiet: bool) -> None:
    newest = next((m.name for m in reversed(migration_status(conninfo)) if m.applied), None)
    if newest is None:
        typer.echo("nothing to do: no migration is applied")
        return
    ask(f"Undo {newest}?", what="--rollback", yes=yes, if_no="nothing was rolled back")
    roll_back_last(conninfo, _listener("rolled back", quiet))


def _listener(verb: str, quiet: bool) -> Listener:
    def done(name: str) -> None:
        if not quiet:
            typer.echo(f"{verb} {name}")

    return Listener(done=done, note=lambda text: typer.echo(one_line(text), err=True))
