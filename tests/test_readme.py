"""The steps of the README's "Use it", as they stand there, on a plain PostgreSQL: a record ends in a report."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from chat_telemetry import user_key
from chat_telemetry._cli.embedded_postgres import EmbeddedPostgres
from tests.conftest import FAST_AND_LOOSE

ROOT = Path(__file__).parents[1]
USE_IT = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Use it")[2].partition("\n## ")[0]
OWNERS_URL = "postgresql://owner@db.example.com/app"
# What an application has when it persists a record.
APPLICATION = """
class user:
    id = 42
question, sql = "How many orders?", "select 42"
"""


@pytest.fixture
def server() -> Iterator[EmbeddedPostgres]:
    """A server in which no migration has created roles yet, with a database and its owner."""
    with tempfile.TemporaryDirectory(prefix="ctpg-") as directory:
        server = EmbeddedPostgres(Path(directory), version=18, settings=FAST_AND_LOOSE)
        server.start()
        yield server
        server.stop("immediate")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", USE_IT, re.MULTILINE | re.DOTALL)


def test_the_steps_end_with_the_record_in_a_report(server: EmbeddedPostgres, tmp_path: Path) -> None:
    programs = os.pathsep.join([str(Path(sys.executable).parent), str(server.bin_path), os.environ["PATH"]])
    environment = {**os.environ, "PATH": programs, "PYTHONPATH": str(ROOT / "loader"), "DBT_TARGET_PATH": str(tmp_path)}
    environment |= {"DBT_LOG_PATH": str(tmp_path), "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}

    def shell(script: str, **variables: str) -> str:
        command = ["bash", "-euc", script]
        finished = subprocess.run(
            command,
            env={**environment, **variables},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert finished.returncode == 0, finished.stdout + finished.stderr
        return finished.stdout

    set_up, schedule = blocks("sh")
    (chat_code,) = blocks("python")
    assert OWNERS_URL in set_up
    install, _, steps = set_up.partition("\n")
    assert install.startswith("pip install ")
    url = server.conninfo()
    shell(steps.replace(OWNERS_URL, f"'{url}'"))
    shell(
        f"{sys.executable} - <<'PROGRAM'\n{APPLICATION}{chat_code}\nPROGRAM",
        CHAT_TELEMETRY_DATABASE_URL=server.conninfo(user="chat_app"),
    )
    connection = dict(re.findall(r"(\w+)=(\S+)", url))
    shell(
        schedule,
        CHAT_TELEMETRY_DBT_HOST=connection["host"],
        CHAT_TELEMETRY_DBT_PORT=connection.get("port", "5432"),
        CHAT_TELEMETRY_DBT_DATABASE=connection["dbname"],
        DBT_ENV_SECRET_CHAT_TELEMETRY_PASSWORD="…",  # noqa: S106 - as in the README
    )
    query = "select user_id, request_count from chat_reports.user_usage"
    report = shell(f"psql -XAt -c '{query}' \"$READER\"", READER=server.conninfo(user="telemetry_reader"))
    assert report == f"{user_key(42)}|1\n"
