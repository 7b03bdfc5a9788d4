"""The steps of the README's "Use it", as they stand there, on a plain PostgreSQL: a record ends in a report."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import secrets
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from chat_telemetry import user_key
from chat_telemetry._cli.embedded_postgres import EmbeddedPostgres
from tests.conftest import FAST_AND_LOOSE, cluster_directory

ROOT = Path(__file__).parents[1]
USE_IT = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Use it")[2].partition("\n## ")[0]
TRANSFORMERS_URL = "postgresql://telemetry_transformer@db.example.com/app?sslmode=verify-full"
OWNERS_URL = "postgresql://owner@db.example.com/app?sslmode=verify-full"
PASSWORD = secrets.token_hex(16)
# What an application has when it persists a record.
APPLICATION = """
class user:
    id = 42
question, sql = "How many orders?", "select 42"
"""


@pytest.fixture
def server() -> Iterator[EmbeddedPostgres]:
    """A server in which no migration has created roles yet, with a database and its owner."""
    with cluster_directory() as directory:
        server = EmbeddedPostgres(Path(directory), version=18, settings=FAST_AND_LOOSE)
        server.start()
        yield server
        server.stop("immediate")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", USE_IT, re.MULTILINE | re.DOTALL)


def shell(script: str, environment: Mapping[str, str]) -> str:
    """Run the script on a terminal on which somebody answers each question with PASSWORD. Returns what it printed."""
    own_end, its_end = pty.openpty()
    with subprocess.Popen(
        ["bash", "-euc", script],
        env=environment,
        cwd=ROOT,
        stdin=its_end,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(its_end, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - a single system call
    ) as process:
        threading.Thread(target=answer, args=[own_end], daemon=True).start()
        os.close(its_end)
        said, _ = process.communicate(timeout=240)
    assert process.returncode == 0, said
    return said


def answer(terminal: int) -> None:
    """Until the program has ended. Then the terminal cannot be read any more."""
    said = b""
    with suppress(OSError), open(terminal, "rb+", buffering=0) as stream:
        while block := stream.read(4096):
            said += block
            if said.rstrip().endswith(b":"):
                stream.write(f"{PASSWORD}\n".encode())
                said = b""


def test_the_steps_end_with_the_record_in_a_report(server: EmbeddedPostgres, tmp_path: Path) -> None:
    programs = os.pathsep.join([str(Path(sys.executable).parent), str(server.bin_path), os.environ["PATH"]])
    environment = {
        **os.environ,
        "PATH": programs,
        "PYTHONPATH": str(ROOT / "loader"),
        "CHAT_TELEMETRY_EXIT_TIMEOUT": "60",
    }
    environment.pop("CHAT_TELEMETRY_DATABASE_URL", None)
    set_up, schedule = blocks("sh")
    (chat_code,) = blocks("python")
    assert OWNERS_URL in set_up
    install, _, steps = set_up.partition("\n")
    assert install.startswith("pip install ")
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        connection.execute("create role owner login createrole; alter database postgres owner to owner")
    exported = shell(f"{steps.replace(OWNERS_URL, server.conninfo(user='owner'))}\nenv", environment)
    assert "user=owner" not in exported.rpartition("\nPATH=")[2]  # chat code that starts here has no URL of the owner

    host, port = "127.0.0.1", str(server.port)
    url = f"postgresql://chat_app:{PASSWORD}@{host}:{port}/postgres"
    program = f"{sys.executable} - <<'PROGRAM'\n{APPLICATION}{chat_code}\nPROGRAM"
    shell(program, {**environment, "CHAT_TELEMETRY_DATABASE_URL": url})
    assert TRANSFORMERS_URL in schedule
    url = f"postgresql://telemetry_transformer:{PASSWORD}@{host}:{port}/postgres"
    shell(schedule.replace(TRANSFORMERS_URL, url), {**environment, "XDG_CACHE_HOME": str(tmp_path)})
    query = "select user_id, request_count from chat_reports.user_usage"
    reader = {"PGHOST": host, "PGPORT": port, "PGDATABASE": "postgres", "PGPASSWORD": PASSWORD}
    report = shell(f"psql -U telemetry_reader -XAtc '{query}'", {**environment, **reader})
    assert report == f"{user_key(42)}|1\n"
