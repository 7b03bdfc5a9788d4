"""The PostgreSQL of the demo: one cluster in a directory, used by one demo command at a time."""

from __future__ import annotations

import fcntl
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import psutil  # type: ignore[import-untyped]  # the embedded PostgreSQL needs it too
import psycopg
from psycopg import sql

from chat_telemetry._cli.embedded_postgres import EmbeddedPostgres
from chat_telemetry._cli.errors import CommandError
from chat_telemetry._cli.migrations import apply_migrations
from chat_telemetry._cli.options import connect, transaction
from chat_telemetry._cli.postgres_cluster import ClusterError

DATABASE = "chat"
LOCK_FILE = "demo.lock"
INITIALISED = "initialised"
PORTS_TRIED = 100
INITDB_TIMEOUT_S = 60


@contextmanager
def only_one(directory: Path) -> Iterator[int]:
    """Hold the lock of the demo, and yield its descriptor. Raises CommandError if another process holds it.

    The lock ends with the last process that has the descriptor.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / LOCK_FILE).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CommandError(
                f"another demo, or dbt of a killed one, runs in {directory}: wait until it ends"
            ) from error
        yield lock.fileno()


def start(directory: Path, port: int) -> EmbeddedPostgres:
    """Start the server, on `port` or the next free one."""
    server = EmbeddedPostgres(directory, port=_free_port(port))
    initialised = directory / INITIALISED
    if not initialised.exists():
        _clear(server)
    server.start()
    initialised.touch()
    return server


def prepare(server: EmbeddedPostgres, passwords: Mapping[str, str]) -> None:
    """Create and migrate the database `chat`, and let its roles log in: these ones by TCP, telemetry_writer locally."""
    with connect(server.conninfo()) as connection:
        with transaction(connection):
            found = connection.execute("select from pg_database where datname = %s", [DATABASE]).fetchall()
        if not found:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(DATABASE)))
    apply_migrations(server.conninfo(DATABASE))
    with connect(server.conninfo(DATABASE)) as connection:
        connection.execute("alter role telemetry_writer login")
        for role, password in passwords.items():
            _let_log_in(connection, role, password)


def url(server: EmbeddedPostgres, role: str, passfile: Path | None = None) -> str:
    """The connection string of a role. With `passfile`, libpq finds the password there."""
    parameters = f"?passfile={quote(str(passfile))}" if passfile else ""
    return f"postgresql://{role}@127.0.0.1:{server.port}/{DATABASE}{parameters}"


def stop(directory: Path) -> bool:
    """Stop the server of `directory`. Returns whether it ran."""
    if not (directory / INITIALISED).exists():
        return False
    server = EmbeddedPostgres(directory)
    was_running = server.is_running()
    server.stop()
    return was_running


def _clear(server: EmbeddedPostgres) -> None:
    """Delete the incomplete cluster of a first run that was killed. Its initdb may still run."""
    deadline = time.monotonic() + INITDB_TIMEOUT_S
    while _initdb_runs(server.data) and time.monotonic() < deadline:
        time.sleep(0.1)
    # The server that initdb started is dead, but until its parent reaps it pg_ctl considers it alive.
    with suppress(ClusterError):
        server.stop("immediate")
    shutil.rmtree(server.data, ignore_errors=True)


def _initdb_runs(data: Path) -> bool:
    processes = psutil.process_iter(["name", "cmdline"])
    return any(p.info["name"] == "initdb" and str(data) in (p.info["cmdline"] or ()) for p in processes)


def _let_log_in(connection: psycopg.Connection, role: str, password: str) -> None:
    """As psql's \\password: only a hash is sent, so that no log of the server can have the password."""
    verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    connection.execute(sql.SQL("alter role {} login password {}").format(sql.Identifier(role), sql.Literal(verifier)))


def _free_port(wanted: int) -> int:
    for port in range(wanted, min(wanted + PORTS_TRIED, 65_536)):
        with socket.socket() as probe:
            # PostgreSQL sets this option, too: without it the port of a server that has just stopped looks used.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise CommandError(f"no port from {wanted} on is free: choose another --port")
