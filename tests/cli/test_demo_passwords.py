"""The passwords of the demo: random, kept in a file for libpq, and unknown to everybody else."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from chat_telemetry._cli.demo import server
from chat_telemetry._cli.demo.passwords import READER, TRANSFORMER, read_or_create_passwords
from chat_telemetry._cli.embedded_postgres import EmbeddedPostgres
from tests.conftest import FAST_AND_LOOSE

KNOWN = "demo"


def test_a_directory_keeps_its_passwords_and_another_one_has_others(tmp_path: Path) -> None:
    first = read_or_create_passwords(tmp_path)
    assert first.are_new
    assert first.file.stat().st_mode & 0o777 == 0o600
    again = read_or_create_passwords(tmp_path)
    assert again == first._replace(are_new=False)
    (tmp_path / "other").mkdir()
    other = read_or_create_passwords(tmp_path / "other")
    assert not {*other.by_role.values()} & {*first.by_role.values()}
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["pgpass"]


@pytest.mark.parametrize("content", ["", "127.0.0.1:*:chat:telemetry_reader:mine\n", "\xff\x00\n"])
def test_an_incomplete_file_is_replaced(tmp_path: Path, content: str) -> None:
    (tmp_path / "pgpass").write_text(content, encoding="latin-1")
    (tmp_path / "pgpass").chmod(0o600)
    (tmp_path / "pgpass.new").write_text("of a run that was killed")
    assert read_or_create_passwords(tmp_path).are_new
    assert not read_or_create_passwords(tmp_path).are_new


def test_passwords_that_others_could_read_are_replaced(tmp_path: Path) -> None:
    first = read_or_create_passwords(tmp_path)
    first.file.chmod(0o640)
    second = read_or_create_passwords(tmp_path)
    assert second.are_new
    assert second.file.stat().st_mode & 0o777 == 0o600
    assert not {*second.by_role.values()} & {*first.by_role.values()}


def test_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "of_others").write_text("127.0.0.1:*:chat:telemetry_reader:known\n")
    (tmp_path / "pgpass").symlink_to("of_others")
    with pytest.raises(OSError, match="symbolic link"):
        read_or_create_passwords(tmp_path)


def test_a_demo_with_a_known_password_gets_a_random_one_and_no_log_has_it(tmp_path: Path) -> None:
    postgres = EmbeddedPostgres(tmp_path, settings={**FAST_AND_LOOSE, "log_statement": "all"})
    postgres.start()
    try:
        server.prepare(postgres, dict.fromkeys((READER, TRANSFORMER), KNOWN))
        psycopg.connect(server.url(postgres, READER), password=KNOWN).close()
        passwords = read_or_create_passwords(tmp_path)
        server.prepare(postgres, passwords.by_role)
        for role in (READER, TRANSFORMER):
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                psycopg.connect(server.url(postgres, role), password=KNOWN)
            psycopg.connect(server.url(postgres, role, passwords.file)).close()
        for role in ("telemetry_writer", "service_role", "postgres"):
            with pytest.raises(psycopg.OperationalError, match="authentication failed"):
                psycopg.connect(server.url(postgres, role), password=KNOWN)
        log = postgres.log_file.read_text()
        assert "alter role" in log
        assert not any(password in log for password in passwords.by_role.values())
    finally:
        postgres.stop("immediate")
