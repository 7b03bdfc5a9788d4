"""The PostgreSQL of the demo after a first run that was killed before its cluster was complete."""

from __future__ import annotations

from pathlib import Path

import psutil  # type: ignore[import-untyped]
import psycopg

from chat_telemetry._cli.demo import server
from chat_telemetry._cli.embedded_postgres import EmbeddedPostgres


def test_an_incomplete_cluster_is_replaced_and_its_server_stopped(tmp_path: Path) -> None:
    incomplete = EmbeddedPostgres(tmp_path)
    incomplete.start()
    with psycopg.connect(incomplete.conninfo(), autocommit=True) as connection:
        connection.execute("create database half_made")
    (postmaster, *_) = (incomplete.data / "postmaster.pid").read_text().splitlines()
    started = server.start(tmp_path, incomplete.port)
    try:
        assert not psutil.pid_exists(int(postmaster))
        with psycopg.connect(started.conninfo()) as connection:
            assert not connection.execute("select from pg_database where datname = 'half_made'").fetchall()
        assert server.stop(tmp_path)
        assert not server.stop(tmp_path)
    finally:
        started.stop("immediate")
