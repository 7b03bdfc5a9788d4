"""The PostgreSQL of the demo after a first run that was killed before its cluster was complete."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from chat_telemetry._cli.demo import server
from chat_telemetry._cli.embedded_postgres import EmbeddedPostgres


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
