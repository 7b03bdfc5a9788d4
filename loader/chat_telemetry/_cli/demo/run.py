"""The stages of the demo. Each of them can be run again after it was killed at any point."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import typer

from chat_telemetry import _default_client
from chat_telemetry._cli.dashboard import make_page
from chat_telemetry._cli.dashboard.writing import write
from chat_telemetry._cli.demo import dbt, server
from chat_telemetry._cli.demo.generator import generate
from chat_telemetry._cli.demo.passwords import READER, read_or_create_passwords
from chat_telemetry._cli.embedded_postgres import EmbeddedPostgres
from chat_telemetry._cli.errors import CommandError, UsageError
from chat_telemetry._cli.options import connect
from chat_telemetry._cli.progress import stage
from chat_telemetry._cli.referenced_rows import create_referenced_rows
from chat_telemetry._cli.report import REPORTS, show
from chat_telemetry._settings import DATABASE_URL

REPORT_ROWS = 5
BURST = 10_000  # half of what the queue of the client holds
FLUSH_TIMEOUT_S = 60.0
DASHBOARD = "dashboard.html"

GOODBYE = """\

The dashboard             {dashboard}
A BI tool connects with   {address}  (schema chat_reports)
Its password              is in {file}
A whole report            {cli} report token_cost --database-url {url}
psql                      {psql} {url}
New requests, and dbt     {cli} demo{where}
dbt by itself             {dbt}
Stop, or stop and delete  {cli} demo{where} --stop, {cli} demo{where} --delete"""


def run(directory: Path, port: int, requests: int) -> None:
    """Server, chat requests, dbt, reports, dashboard. Raises CommandError, ClusterError."""
    with server.only_one(directory) as lock:
        with stage("PostgreSQL 18 with the database `chat`"):
            postgres = server.start(directory, port)
            passwords = read_or_create_passwords(directory)
            server.prepare(postgres, passwords.by_role)
        if postgres.port != port:
            typer.echo(f"    it listens on port {postgres.port}, because {port} was in use when it started", err=True)
        if passwords.are_new:
            typer.echo(f"    {READER} has the password {passwords.by_role[READER]}, kept in {passwords.file}", err=True)
        with stage("chat requests of the last 30 days through persist_telemetry"):
            _send(postgres, requests)
        typer.echo(f"    {_default_client.stats()}", err=True)
        with stage("dbt build") as progress:
            count = dbt.build(directory, postgres.port, passwords.file, progress, lock)
        typer.echo(f"    {count} seeds, models and tests, all passed", err=True)
        url = server.url(postgres, READER, passwords.file)
        _show(url)
        with connect(url) as connection:
            write(make_page(connection), directory / DASHBOARD)
        _say_goodbye(postgres, directory, passwords.file)


def end(directory: Path, delete: bool) -> None:
    """Stop the server, and delete the directory if `delete`. Raises UsageError if there is no demo."""
    if not (directory / server.LOCK_FILE).exists():
        raise UsageError(f"there is no demo in {directory}")
    with server.only_one(directory):
        typer.echo("stopped" if server.stop(directory) else "not running")
        if delete:
            shutil.rmtree(directory)
            typer.echo(f"deleted {directory}")


def _send(postgres: EmbeddedPostgres, count: int) -> None:
    """The chat application of the demo: it calls persist_telemetry as telemetry_writer."""
    os.environ[DATABASE_URL] = postgres.conninfo(server.DATABASE, "telemetry_writer")
    records = generate(count, datetime.now(UTC))
    with connect(postgres.conninfo(server.DATABASE)) as connection:
        while burst := list(islice(records, BURST)):
            create_referenced_rows(connection, burst)
            for record in burst:
                _default_client.persist_telemetry(record)
            if not _default_client.flush(FLUSH_TIMEOUT_S):
                raise CommandError(f"not every record was stored: {_default_client.stats()}; run the demo again")


def _show(url: str) -> None:
    with connect(url) as connection:
        for name in REPORTS:
            typer.echo(f"\n{name}")
            show(connection, name, REPORT_ROWS)


def _say_goodbye(postgres: EmbeddedPostgres, directory: Path, passfile: Path) -> None:
    """Each command can be copied into a shell."""
    typer.echo(
        GOODBYE.format(
            dashboard=(directory / DASHBOARD).resolve().as_uri(),
            address=server.url(postgres, READER),
            file=passfile,
            url=shlex.quote(server.url(postgres, READER, passfile)),
            psql=shlex.quote(str(postgres.bin_path / "psql")),
            dbt=dbt.command(postgres.port, passfile),
            cli=shlex.quote(_own_command()),
            where="" if directory == Path(".demo") else f" --directory {shlex.quote(str(directory))}",
        )
    )


def _own_command() -> str:
    """How to call this command line in a shell: by its path if it is not in PATH."""
    own = Path(sys.executable).with_name("chat-telemetry")
    if shutil.which("chat-telemetry") == str(own):
        return own.name
    return str(own.relative_to(Path.cwd()) if own.is_relative_to(Path.cwd()) else own)
