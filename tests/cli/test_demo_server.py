"""The PostgreSQL and the requests of the demo, in cases that a whole demo does not meet."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import psycopg
import pytest

from chat_telemetry import Stats, _default_client
from chat_telemetry._cli.demo import run, server
from chat_telemetry._cli.embedded_postgres import EmbeddedPostgres
from chat_telemetry._cli.errors import CommandError
from chat_telemetry._cli.postgres_cluster import ClusterError
from tests.conftest import Server


def test_an_incomplete_cluster_is_replaced_and_its_server_stopped(tmp_path: Path) -> None:
    incomplete = EmbeddedPostgres(tmp_path)
    incomplete.start()
    with psycopg.connect(incomplete.conninfo(), autocommit=True) as connection:
        connection.execute("create database half_made")
    incomplete_port = incomplete.port
    started = server.start(tmp_path, incomplete_port)
    try:
        assert incomplete_port < started.port <= incomplete_port + 100
        with pytest.raises(psycopg.OperationalError, match="refused"):
            psycopg.connect(host="127.0.0.1", port=incomplete_port)
        with psycopg.connect(started.conninfo()) as connection:
            assert not connection.execute("select from pg_database where datname = 'half_made'").fetchall()
        assert server.stop(tmp_path)
        assert not server.stop(tmp_path)
    finally:
        started.stop("immediate")


def test_the_data_of_another_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "PG_VERSION").write_text("16\n")
    with pytest.raises(ClusterError, match="holds PostgreSQL 16, not 18: delete that directory"):
        EmbeddedPostgres(tmp_path)


def test_threads_get_the_address_of_a_server_at_the_same_time(postgres: Server) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(postgres.conninfo, ["postgres"] * 500))) == 1


def test_a_dead_server_that_pg_ctl_cannot_stop_is_deleted_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(mode: str) -> None:
        raise ClusterError("PostgreSQL did not stop")

    incomplete = EmbeddedPostgres(tmp_path)
    incomplete.data.mkdir()
    monkeypatch.setattr(incomplete, "stop", fail)
    server._clear(incomplete)
    assert not incomplete.data.exists()


def test_the_initdb_of_a_killed_first_run_may_end_before_its_cluster_is_deleted(tmp_path: Path) -> None:
    incomplete = EmbeddedPostgres(tmp_path / "demo")
    initdb = tmp_path / "initdb"
    initdb.write_text("#!/bin/sh\necho started\nsleep 1\n")
    initdb.chmod(0o755)
    with subprocess.Popen([initdb, "-D", incomplete.data], stdout=subprocess.PIPE) as running:
        assert running.stdout
        assert running.stdout.readline()
        server._clear(incomplete)
        assert running.poll() is not None


def test_records_that_are_not_stored_fail_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAT_TELEMETRY_DATABASE_URL", "")  # which _send sets
    monkeypatch.setattr(run, "connect", lambda conninfo: nullcontext())
    monkeypatch.setattr(run, "create_referenced_rows", lambda connection, records: None)
    monkeypatch.setattr(_default_client, "persist_telemetry", lambda record: False)
    monkeypatch.setattr(_default_client, "flush", lambda timeout: False)
    monkeypatch.setattr(_default_client, "stats", lambda: Stats(dropped=5))
    postgres = cast(EmbeddedPostgres, SimpleNamespace(conninfo=lambda *names: "host=/nowhere"))
    with pytest.raises(CommandError, match=r"not every record was stored: .*dropped=5.*; run the demo again"):
        run._send(postgres, 5)


@pytest.mark.parametrize(
    ("path", "working_directory", "command"),
    [
        ("bin", "/", "chat-telemetry"),
        ("", ".", "bin/chat-telemetry"),
        ("", "other", "{own}"),
        ("other", ".", "bin/chat-telemetry"),
    ],
)
def test_the_command_line_is_named_as_a_shell_here_would_find_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, working_directory: str, command: str
) -> None:
    own = tmp_path / "bin" / "chat-telemetry"
    for program in (own, tmp_path / "other" / "chat-telemetry"):
        program.parent.mkdir()
        program.touch(0o755)
    monkeypatch.setattr("sys.executable", str(own.with_name("python")))
    monkeypatch.setenv("PATH", str(tmp_path / path) if path else "")
    monkeypatch.chdir(tmp_path / working_directory)
    assert run._own_command() == command.format(own=own)
