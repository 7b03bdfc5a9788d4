"""The demo's own PostgreSQL: one cluster in a directory, used by one demo command at a time."""

from __future__ import annotations

import fcntl
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # the embedded PostgreSQL needs it too
import psycopg
from psycopg import sql

from chat_telemetry._cli.embedded_postgres import EmbeddedPostgres, EmbeddedServerError
from chat_telemetry._cli.errors import CommandError
from chat_telemetry._cli.migrations import apply_migrations
from chat_telemetry._cli.options import connect

DATABASE = "chat"
PASSWORD = "demo"  # noqa: S105 - of a server that only this machine reaches
LOCK_FILE = "demo.lock"
INITIALISED = "initialised"
PORTS_TRIED = 100
INITDB_TIMEOUT_S = 60


@contextmanager
def only_one(directory: Path) -> Iterator[None]:
    """Hold the demo's lock, which ends with the process; raises CommandError if another one holds it."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / LOCK_FILE).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CommandError(f"another demo is at work in {directory}: wait for it to end") from error
        yield


def start(directory: Path, port: int) -> EmbeddedPostgres:
    """The running server; `port` is taken where it is free, else the next one that is."""
    server = EmbeddedPostgres(directory, port=_free_port(port))
    initialised = directory / INITIALISED
    if not initialised.exists():
        _clear(server)
    server.start()
    initialised.touch()
    return server


def prepare(server: EmbeddedPostgres) -> None:
    """The migrated database `chat`, and the three roles able to log in."""
    with connect(server.conninfo()) as connection:
        if not connection.execute("select from pg_database where datname = %s", [DATABASE]).fetchall():
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(DATABASE)))
    apply_migrations(server.conninfo(DATABASE))
    with connect(server.conninfo(DATABASE)) as connection:
        connection.execute("alter role service_role login")
        for role in ("telemetry_reader", "telemetry_transformer"):
            _let_in(connection, role)


def reader_url(server: EmbeddedPostgres) -> str:
    """What a BI tool connects with."""
    return f"postgresql://telemetry_reader:{PASSWORD}@127.0.0.1:{server.port}/{DATABASE}"


def stop(directory: Path) -> bool:
    """Stop the server of `directory`; whether there was one running."""
    if not (directory / INITIALISED).exists():
        return False
    server = EmbeddedPostgres(directory)
    was_running = server.is_running()
    server.stop()
    return was_running


def _clear(server: EmbeddedPostgres) -> None:
    """A first run was killed: its cluster may be half made, and its initdb may still be at it."""
    deadline = time.monotonic() + INITDB_TIMEOUT_S
    while _initdb_is_at_work(server.data) and time.monotonic() < deadline:
        time.sleep(0.1)
    # What initdb itself had started ended with it, but pg_ctl takes it for alive until somebody reaps it.
    with suppress(EmbeddedServerError):
        server.stop("immediate")
    shutil.rmtree(server.data, ignore_errors=True)


def _initdb_is_at_work(data: Path) -> bool:
    processes = psutil.process_iter(["name", "cmdline"])
    return any(p.info["name"] == "initdb" and str(data) in (p.info["cmdline"] or ()) for p in processes)


def _let_in(connection: psycopg.Connection, role: str) -> None:
    statement = sql.SQL("alter role {} login password {}").format(sql.Identifier(role), sql.Literal(PASSWORD))
    connection.execute(statement)


def _free_port(wanted: int) -> int:
    for port in range(wanted, min(wanted + PORTS_TRIED, 65_536)):
        with socket.socket() as probe:
            # As PostgreSQL does: a port that a server has just left may be taken again at once.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise CommandError(f"no port is free from {wanted} on: give another --port")
