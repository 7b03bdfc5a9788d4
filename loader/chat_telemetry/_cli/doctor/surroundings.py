"""Checks of the connection, the server, the clocks, dbt, and journal directories."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg import errors as sqlstate

from chat_telemetry._cli.dbt_connection import DbtConnection
from chat_telemetry._cli.doctor.finding import Found, Level
from chat_telemetry._cli.errors import server_message
from chat_telemetry._cli.journal_directory import usable
from chat_telemetry._cli.options import transaction
from chat_telemetry._cli.tables import number
from chat_telemetry._delivery.dead_letters import NAMES
from chat_telemetry._delivery.locked_files import open_locked
from chat_telemetry._delivery.private_files import files_named
from chat_telemetry._delivery.segment import NAME

OLDEST_SERVER = 15
LOCAL_HOST = re.compile(r"/.*|@.*|localhost|127\..*|::1|", re.ASCII)
CLOCK_TOLERANCE_S = 10.0
NOW: LiteralString = "select extract(epoch from clock_timestamp())::float8"
DBT_CHECKS: LiteralString = "select chat_rollups.assert_owner(%s), chat_rollups.assert_log_is_visible()"
OWNER: LiteralString = "select owner from chat_rollups.progress where name = 'drained_changes'"
DBT_VERSIONS = ((1, 11), (1, 13))


def connection_is_safe(connection: psycopg.Connection) -> Iterator[Found]:
    """Whether the server is a supported one, and verified if it is on another machine."""
    info = connection.info
    server = f"PostgreSQL {info.parameter_status('server_version')}".split(" (")[0]
    if info.server_version // 10_000 < OLDEST_SERVER:
        yield Level.FAULT, f"{server} is older than {OLDEST_SERVER}", "upgrade the server"
    mode = info.get_parameters().get("sslmode", "prefer")
    if LOCAL_HOST.fullmatch(info.host) or (mode == "verify-full" and is_encrypted(connection)):
        yield Level.OK, f"{server} at {info.host or 'this machine'}", ""
    else:
        state = "encrypted, but the server is not verified" if is_encrypted(connection) else "not encrypted"
        yield Level.FAULT, f"{server} at {info.host}: the connection is {state}", "add sslmode=verify-full to the URL"


def is_encrypted(connection: psycopg.Connection) -> bool:
    """Whether the connection uses TLS."""
    return bool(connection.pgconn.ssl_in_use)


def clocks(connection: psycopg.Connection) -> Iterator[Found]:
    """Whether this machine and the server have the same time. The loader writes the time of its machine."""
    with transaction(connection, rolls_back=True):
        before = time.time()
        (server,) = connection.execute(NOW).fetchone() or (before,)
    ahead = (before + time.time()) / 2 - float(server)
    if abs(ahead) > CLOCK_TOLERANCE_S:
        where = "ahead of" if ahead > 0 else "behind"
        yield Level.FAULT, f"the clock of this machine is {abs(ahead):,.0f} s {where} the server's", "set it by NTP"
    else:
        yield Level.OK, "this machine and the server have the same time", ""


def dbt(target: DbtConnection, connection: psycopg.Connection) -> Iterator[Found]:
    """Whether a run of dbt would begin."""
    try:
        installed = version("dbt-core")
        numbers = tuple(int(part) for part in installed.split(".")[:2])
        if not DBT_VERSIONS[0] <= numbers < DBT_VERSIONS[1]:
            yield Level.FAULT, f"dbt {installed} is not supported", "pip install 'dbt-core>=1.11,<1.13'"
        version("dbt-postgres")
    except PackageNotFoundError as error:
        yield Level.FAULT, f"{error.name} is not installed here", "pip install 'chat-telemetry[cli,dbt]'"
        return
    try:
        with transaction(connection, rolls_back=True):
            connection.execute(DBT_CHECKS, [target.schema])
            (owner,) = connection.execute(OWNER).fetchone() or (None,)
    except sqlstate.RaiseException as error:
        yield Level.FAULT, f"dbt would stop: {server_message(error)}", error.diag.message_hint or "as it says"
        return
    feed = f"owns the change feed as {owner}" if owner else "will own the change feed, which has no owner yet"
    yield Level.OK, f"dbt {installed} {feed}", ""


def journals(directory: Path) -> Iterator[Found]:
    """Whether records wait in dead letters, or in the journals of processes that died."""
    usable(directory, "chat-telemetry doctor")
    letters = [path for path in files_named(NAMES, directory) if path.stat().st_size]
    left = []
    for path in files_named(NAME, directory):
        with suppress(FileNotFoundError):  # a process has finished it
            descriptor = open_locked(path, os.O_RDWR)
            if descriptor is not None:  # otherwise its process runs, and sends it
                os.close(descriptor)
                left.append(path)
    replay = f"chat-telemetry replay --journal-dir {directory}"
    if letters:
        lines = sum(path.read_bytes().count(b"\n") for path in letters)
        yield Level.FAULT, f"{number(lines, 'dead letter')} in {directory}", f"fix the reason, then {replay}"
    if left:
        yield Level.FAULT, f"{number(left, 'journal')} of dead processes in {directory}", replay
    if not letters and not left:
        yield Level.OK, f"nothing waits in {directory}", ""
