"""Every error is one line that says what to do, has an exit code, and contains no secret."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from chat_telemetry._cli import main
from chat_telemetry._cli.app import app
from tests.cli.conftest import Cli, count, line, process
from tests.conftest import Database

COMMANDS = [
    *[("migrate",), ("report", "token_cost"), ("load", "in.jsonl"), ("prices",), ("prices", "unset", "gpt-4o")],
    ("erase", "6f0f6a3e-3f7b-5a0e-9d2e-0c7d8a4b1f00", "--yes"),
]


def test_version_and_help_succeed(cli: Cli) -> None:
    version = cli("--version")
    assert (version.code, version.err) == (0, "")
    assert version.out.split(".")[0].isdecimal()
    overview = cli("--help")
    assert overview.code == 0
    for code in (
        "0: all done",
        "1: incomplete",
        "2: usage error",
        "3: the database",
        "4: a requirement",
        "5: another",
        "6: an alert",
        "130: inter",
    ):
        assert code in overview.out
    assert {command.callback.__name__ for command in app.registered_commands if command.callback} == {
        *(
            "check",
            "dashboard",
            "dbt",
            "demo",
            "doctor",
            "erase",
            "load",
            "migrate",
            "prune",
            "replay",
            "report",
            "run",
        ),
    }
    assert [group.name for group in app.registered_groups] == ["prices"]


def test_the_help_of_a_command_shows_its_defaults(cli: Cli) -> None:
    shown = cli("demo", "--help").out
    assert "[default: 54329]" in shown
    assert "[default: 5000]" in shown
    assert "--install-completion" in cli("--help").out


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_an_interrupted_command_says_so_and_a_bug_keeps_its_traceback(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def fail(conninfo: str) -> None:
        raise error

    monkeypatch.setattr("chat_telemetry._cli.report.connect", fail)
    arguments = ("report", "latency", "--database-url", "host=127.0.0.1")
    if error is KeyboardInterrupt:
        outcome = cli(*arguments)
        assert (outcome.code, outcome.out, outcome.err) == (130, "", "error: interrupted\n")
    else:
        with pytest.raises(error):
            cli(*arguments)


def test_the_traceback_of_a_bug_shows_no_values(tmp_path: Path) -> None:
    script = (
        "from chat_telemetry._cli import main, report; report.connect = lambda conninfo: 1 / 0; import sys;"
        "sys.argv[1:] = ['report', 'latency', '--database-url', 'password=hunter2']; main()"
    )
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert finished.returncode == 1
    assert finished.stderr.startswith("Traceback (most recent call last):\n")
    assert finished.stderr.endswith("ZeroDivisionError: division by zero\n")
    assert "hunter2" not in finished.stderr


def test_without_arguments_the_help_is_printed(cli: Cli) -> None:
    outcome = cli()
    assert (outcome.code, outcome.err) == (2, "")
    assert "Usage: chat-telemetry [OPTIONS] COMMAND" in outcome.out


@pytest.mark.parametrize(
    "arguments",
    [
        ("bogus",),
        ("--bogus",),
        ("load",),
        ("report", "bogus"),
        ("report", "token_cost", "--format", "xml"),
        ("report", "token_cost", "--limit", "0"),
        ("demo", "--port", "99"),
        ("migrate",),
        ("erase", "6f0f6a3e-3f7b-5a0e-9d2e-0c7d8a4b1f00"),
    ],
    ids=" ".join,
)
def test_a_usage_error_is_one_line_and_exit_code_2(cli: Cli, arguments: tuple[str, ...]) -> None:
    outcome = cli(*arguments)
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("postgres//app:s3cret@127.0.0.1/chat", 2),
        ("postgresql://app:s3c@s3cret@127.0.0.1:1/chat", 2),
        ("postgresql://app:s3/cret@127.0.0.1:1/chat", 2),
        ("postgresql://app:1/s3cret@127.0.0.1:1/chat", 2),
        ("postgresql://app:s3%zzcret@127.0.0.1:1/chat", 2),
        ("", 2),
        ("postgresql://app:s3cret@127.0.0.1:1/chat", 3),
        ("host=127.0.0.1 port=1 user=app password=s3cret", 3),
    ],
)
def test_the_error_of_a_wrong_connection_string_is_one_line_without_the_password(
    cli: Cli, tmp_path: Path, command: tuple[str, ...], url: str, code: int
) -> None:
    (tmp_path / "in.jsonl").write_text("{}\n")
    outcome = cli(*command, "--database-url", url)
    assert outcome.code == code
    assert outcome.err.count("\n") == 1
    assert "s3c" not in outcome.err
    assert "cret" not in outcome.err


def test_the_option_overrides_the_environment(cli: Cli, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAT_TELEMETRY_DATABASE_URL", "host=127.0.0.1 port=1")
    assert cli("migrate").code == 3
    assert cli("migrate", "--database-url", database.conninfo).code == 0


@pytest.mark.parametrize("arguments", [("migrate", "--status"), ("prices",), ("report", "errors")], ids=" ".join)
def test_the_database_may_come_from_variables_that_others_read(
    cli: Cli, database: Database, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("PGPORT", "1")  # says nothing about a database
    assert "Missing option '--database-url'" in cli(*arguments).err
    parameters = conninfo_to_dict(database.conninfo)
    monkeypatch.setenv("PGUSER", str(parameters["user"]))
    monkeypatch.setenv("PGPORT", str(parameters.get("port", 5432)))
    monkeypatch.setenv("PGHOST", str(parameters["host"]))
    monkeypatch.setenv("PGDATABASE", database.name)
    expected = cli(*arguments, "--database-url", database.conninfo)
    assert cli(*arguments, "--database-url", "") == cli(*arguments) == expected
    monkeypatch.setenv("PGHOST", "/nowhere")
    assert cli(*arguments).code == 3
    monkeypatch.setenv("DATABASE_URL", database.conninfo)
    assert cli(*arguments) == expected
    monkeypatch.setenv("CHAT_TELEMETRY_DATABASE_URL", "host=127.0.0.1 port=1")
    assert cli(*arguments).code == 3


def test_a_terminal_without_every_character_gets_a_question_mark(database: Database, tmp_path: Path) -> None:
    with database.connect() as connection:
        connection.execute("create materialized view chat_reports.words as select '\u4f60 \u2026 \u00e9' as n")
        connection.execute("grant select on chat_reports.words to telemetry_reader")
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1", "CHAT_TELEMETRY_DATABASE_URL": database.conninfo}
    program = [sys.executable, "-c", "from chat_telemetry._cli import main; main()", "report", "words"]
    finished = subprocess.run(
        program, capture_output=True, cwd=tmp_path, env={**os.environ, **environment}, check=False
    )
    assert (finished.returncode, finished.stderr) == (0, b"")
    assert "? ? \u00e9".encode("latin-1") in finished.stdout


def test_arguments_that_are_not_utf_8_are_a_usage_error(database: Database, tmp_path: Path) -> None:
    environment = {**os.environ, "CHAT_TELEMETRY_DATABASE_URL": database.conninfo}
    for arguments in ((b"report", b"\xff"), (b"migrate", b"--owner", b"\xe9t\xe9")):
        program = [sys.executable, "-c", "from chat_telemetry._cli import main; main()", *arguments]
        finished = subprocess.run(program, capture_output=True, cwd=tmp_path, env=environment, check=False)
        assert finished.returncode == 2
        assert (finished.stderr[:7], finished.stderr.count(b"\n")) == (b"error: ", 1)


def test_the_list_of_reports_needs_no_database(cli: Cli) -> None:
    outcome = cli("report", "--list")
    assert (outcome.code, outcome.err, outcome.out.count("\n")) == (0, "", 7)
    assert "token_cost        What did the model calls of each day cost, by step and model?\n" in outcome.out
    assert "sql_patterns      Which SQL does the chat write most often, how fast is it and how often" in outcome.out


def test_without_the_extra_cli_the_error_says_how_to_install_it(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise ModuleNotFoundError(\"No module named 'typer'\", name='typer')\n")
    outcome = process("--help", cwd=tmp_path, environment={"PYTHONPATH": str(tmp_path)})
    assert outcome.code != 0
    assert outcome.err.count("\n") == 1
    assert "pip install 'chat-telemetry[cli]'" in outcome.err


def test_a_broken_package_is_not_taken_for_a_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "chat_telemetry._cli.app", None)
    with pytest.raises(ImportError, match=r"chat_telemetry\._cli\.app"):
        main()


def test_without_the_extra_demo_the_error_says_how_to_install_it(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chat_telemetry._cli.demo.EXTRAS", ("a_package_that_is_not_installed",))
    outcome = cli("demo")
    assert outcome.code == 4
    assert "pip install 'chat-telemetry[demo]'" in outcome.err


def test_chat_code_does_not_import_the_command_line() -> None:
    script = (
        "import sys, chat_telemetry; print([m for m in sys.modules if m.split('.')[0] in ('typer', 'rich', 'yoyo')])"
    )
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert finished.stdout == "[]\n"


@pytest.mark.parametrize("arguments", [("migrate", "--status"), ("report", "numbers", "--format", "csv")], ids=" ".join)
def test_a_closed_pipe_prints_no_error(database: Database, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    with database.connect() as connection:
        connection.execute("create materialized view chat_reports.numbers as select 1 as n, 2 as m")
        connection.execute("grant select on chat_reports.numbers to telemetry_reader")
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write) as closed_pipe:
        finished = subprocess.run(
            [sys.executable, "-c", "from chat_telemetry._cli import main; main()", *arguments],
            stdout=closed_pipe,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            # Buffered, so that a short output is written at the end only.
            env={**os.environ, "CHAT_TELEMETRY_DATABASE_URL": database.conninfo, "PYTHONUNBUFFERED": ""},
            check=False,
        )
    assert finished.returncode == 141
    assert finished.stderr == b""


def test_an_interrupted_load_prints_one_line_and_leaves_no_partial_line(database: Database, tmp_path: Path) -> None:
    user = database.add_users(1)[0]
    # A shell's background job, which CI can be, ignores SIGINT, and so do its children.
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from chat_telemetry._cli import main, progress; progress.LINE_EVERY_S = 3600; main()"
    )
    loading = subprocess.Popen(
        [sys.executable, "-c", program, "load", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env={**os.environ, "CHAT_TELEMETRY_DATABASE_URL": database.conninfo},
    )
    assert loading.stdin
    assert loading.stderr
    deadline = threading.Timer(240, loading.kill)
    deadline.start()
    # A batch that is stored, and an invalid line. Its message shows that the batch before it was sent.
    loading.stdin.write("".join(f"{line(user)}\n" for _ in range(1000)).encode() + b"bad\n")
    loading.stdin.flush()
    assert b"stdin:1001: not JSON" in loading.stderr.readline()
    loading.send_signal(signal.SIGINT)
    _, err = loading.communicate()
    deadline.cancel()
    assert loading.returncode == 130
    assert err.decode() == (
        "error: interrupted. stdin: 1,000 stored so far; run the same command again, nothing is stored twice\n"
    )
    assert (tmp_path / "stdin.rejected.jsonl").read_text() == "bad\n"
    assert count(database) == 1000
