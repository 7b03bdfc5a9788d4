"""`chat-telemetry demo` as a user runs it: a first run, a second one, one that is killed, two at the same time."""

from __future__ import annotations

import fcntl
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import errors as sqlstate

from chat_telemetry._cli.report import REPORTS
from tests.cli.conftest import Outcome, process

# Variables of other databases, from the shell or the .env file of an application. The demo must ignore them.
ELSEWHERE = {
    "CHAT_TELEMETRY_DATABASE_URL": "postgresql://app@127.0.0.1:1/production",
    "CHAT_TELEMETRY_DBT_PORT": "1",
    "CHAT_TELEMETRY_BATCH_RECORDS": "1",
    "DBT_TARGET": "production",
    "PGHOSTADDR": "127.0.0.2",
    "PGOPTIONS": "-c default_transaction_read_only=on",
    "PYTHON_DOTENV_DISABLED": "",
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working directory. Its demo is deleted after the tests."""
    directory = tmp_path_factory.mktemp("demo")
    (directory / ".env").write_text("".join(f"{name}='{value}'\n" for name, value in ELSEWHERE.items()))
    yield directory
    demo(directory, "--delete")


@pytest.fixture(scope="module")
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.fixture(scope="module")
def first(directory: Path, taken_port: int) -> Outcome:
    """The first complete run. The run before it was killed while dbt ran."""
    with subprocess.Popen(
        [sys.executable, "-c", "from chat_telemetry._cli import main; main()", *arguments(taken_port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=directory,
        text=True,
    ) as killed:
        assert killed.stderr
        said = []
        for text in killed.stderr:
            said.append(text)
            if "accepted=" in text:
                break
        killed.kill()
    assert "accepted=" in said[-1]
    assert any(f"telemetry_reader has the password {password(directory, 'telemetry_reader')}," in text for text in said)
    # Its dbt may run on for some seconds.
    while (outcome := demo(directory, *arguments(taken_port)[1:])).err.startswith("error: another demo"):
        time.sleep(0.5)
    return outcome


def arguments(port: int) -> list[str]:
    return ["demo", "--port", str(port), "--requests", "300"]


def demo(directory: Path, *options: str) -> Outcome:
    return process("demo", *options, cwd=directory, environment=ELSEWHERE)


def reader_url(outcome: Outcome) -> str:
    """The address for a BI tool."""
    found = re.search(r"postgresql://telemetry_reader@127\.0\.0\.1:\d+/chat(?=  )", outcome.out)
    assert found
    return found.group()


def passfile(directory: Path) -> Path:
    return directory / ".demo" / "pgpass"


def password(directory: Path, role: str) -> str:
    found = re.search(f"^127.0.0.1:[*]:chat:{role}:(.{{24}})$", passfile(directory).read_text(), re.MULTILINE)
    assert found
    return found[1]


def printed(outcome: Outcome, label: str) -> str:
    """The command that the demo printed with this label."""
    found = re.search(f"^{label}  +(.*)$", outcome.out, re.MULTILINE)
    assert found
    return found[1]


def shell(command: str, cwd: Path, scratch: Path, *, code: int = 0) -> str:
    """Run the command as a user who copies it. Returns what it printed."""
    files = {"DBT_TARGET_PATH": str(scratch / "target"), "DBT_LOG_PATH": str(scratch / "logs")}
    finished = subprocess.run(
        ["sh", "-c", command], cwd=cwd, env={**os.environ, **files}, capture_output=True, text=True, check=False
    )
    assert finished.returncode == code, finished.stdout + finished.stderr
    return finished.stdout + finished.stderr


def test_the_demo_prints_seven_reports_with_rows_and_the_next_steps(first: Outcome) -> None:
    assert first.code == 0, first.err
    for name in REPORTS:
        assert f"\n{name}\n" in first.out
    assert "no rows" not in first.out
    assert re.search(r"^5 of \d+ rows.*: --top shows more$", first.out, re.MULTILINE)
    for hint in ("psql", "dbt build --project-dir", "chat-telemetry demo --stop", "chat-telemetry demo --delete"):
        assert hint in first.out


def test_the_demo_ends_with_a_dashboard(first: Outcome, directory: Path) -> None:
    page = directory / ".demo" / "dashboard.html"
    assert printed(first, "The dashboard") == page.as_uri()
    assert "What the models cost" in page.read_text(encoding="utf-8")


def test_the_loader_sends_the_requests_and_dbt_passes(first: Outcome) -> None:
    stats = dict(re.findall(r"(\w+)=(\d+)", first.err))
    assert int(stats["accepted"]) > 200
    assert int(stats["stored"]) + int(stats["duplicates"]) == int(stats["accepted"])
    assert re.search(r"[1-9]\d* seeds, models and tests, all passed", first.err)


def test_if_the_port_is_taken_the_next_free_one_is_used_and_printed(first: Outcome, taken_port: int) -> None:
    port = int(reader_url(first).rsplit(":", 1)[1].removesuffix("/chat"))
    assert port > taken_port
    assert f"it listens on port {port}, because {taken_port} was in use when it started" in first.err


def test_the_passwords_are_random_and_in_a_file_that_others_cannot_read(first: Outcome, directory: Path) -> None:
    file = passfile(directory)
    assert file.stat().st_mode & 0o777 == 0o600
    assert f"Its password              is in {file}\n" in first.out
    passwords = [password(directory, role) for role in ("telemetry_reader", "telemetry_transformer")]
    assert len(set(passwords)) == 2
    assert not any(each in first.out + first.err for each in passwords)  # the first run printed it
    logs = [path for path in (directory / ".demo").rglob("*") if path.is_file() and path.suffix in (".log", ".json")]
    assert logs
    assert not any(each in path.read_text(errors="replace") for each in passwords for path in logs)


def test_what_the_demo_prints_works_when_it_is_copied(first: Outcome, directory: Path, tmp_path: Path) -> None:
    assert "cost" in shell(printed(first, "A whole report"), directory, tmp_path)
    count = "select count(*) > 0 from chat_reports.off_topic"
    assert shell(f'{printed(first, "psql")} -XAtc "{count}"', directory, tmp_path) == "t\n"
    by_itself = printed(first, "dbt by itself")
    assert "ERROR=0" in shell(by_itself, directory, tmp_path)

    missing, wrong, own = tmp_path / "missing", tmp_path / "wrong", str(passfile(directory))
    wrong.write_text("*:*:*:*:demo\n")
    wrong.chmod(0o600)
    for file, said in ((missing, "no password supplied"), (wrong, "password authentication failed")):
        assert own in by_itself
        assert said in shell(by_itself.replace(own, str(file)), directory, tmp_path, code=2)


def test_a_bi_tool_can_read_only_the_reports(first: Outcome, directory: Path) -> None:
    own = password(directory, "telemetry_reader")
    with psycopg.connect(reader_url(first), password=own, autocommit=True) as connection:
        for name in REPORTS:
            assert connection.execute(f"select from chat_reports.{name} limit 1").rowcount == 1
        with pytest.raises(sqlstate.InsufficientPrivilege):
            connection.execute("select from public.chat_telemetry_log")


def test_the_second_run_adds_only_new_requests_and_keeps_its_address(
    first: Outcome, directory: Path, taken_port: int
) -> None:
    before = password(directory, "telemetry_reader")
    second = demo(directory, *arguments(taken_port)[1:])
    assert second.code == 0, second.err
    stats = dict(re.findall(r"(\w+)=(\d+)", second.err))
    assert int(stats["stored"]) < 20
    assert reader_url(second) == reader_url(first)
    assert password(directory, "telemetry_reader") == before


def test_a_second_demo_at_the_same_time_is_an_error(first: Outcome, directory: Path) -> None:
    with (directory / ".demo" / "demo.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        outcome = demo(directory)
    assert outcome.code == 1
    assert outcome.err == "error: another demo, or dbt of a killed one, runs in .demo: wait until it ends\n"


def test_the_demo_can_be_stopped_and_deleted(first: Outcome, directory: Path) -> None:
    assert demo(directory, "--stop").out == "stopped\n"
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(reader_url(first), connect_timeout=5)
    assert demo(directory, "--stop").out == "not running\n"
    assert demo(directory, "--delete").out == "not running\ndeleted .demo\n"
    assert list(directory.iterdir()) == [directory / ".env"]
    nothing = demo(directory, "--delete")
    assert (nothing.code, nothing.err) == (2, "error: there is no demo in .demo\n")


def test_a_directory_without_a_demo_is_never_deleted(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    outcome = demo(directory, "--directory", str(tmp_path), "--delete")
    assert outcome.code == 2
    assert (tmp_path / "precious").read_text() == "mine"
