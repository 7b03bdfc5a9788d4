"""`chat-telemetry load`: valid lines are stored once. Invalid ones are rejected with a reason, and load once fixed."""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import uuid
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from chat_telemetry._cli import load as load_module
from tests.cli.conftest import Cli, Outcome, count, line, process
from tests.conftest import Database


def write(path: Path, *lines: str | bytes) -> Path:
    path.write_bytes(b"".join(text.encode() + b"\n" if isinstance(text, str) else text + b"\n" for text in lines))
    return path


@pytest.fixture
def user(database: Database) -> uuid.UUID:
    return database.add_users(1)[0]


def test_the_outcome_is_json_or_silence(cli: Cli, database: Database, user: uuid.UUID, tmp_path: Path) -> None:
    good, bad = write(tmp_path / "good.jsonl", line(user)), write(tmp_path / "bad.jsonl", line(user), "{")
    outcome = cli("load", "--json", str(good), str(bad), database=database)
    assert (outcome.code, [json.loads(text) for text in outcome.out.splitlines()]) == (
        1,
        [
            {"file": str(good), "lines": 1, "stored": 1, "already_in_the_log": 0, "rejected": 0},
            {"file": str(bad), "lines": 2, "stored": 1, "already_in_the_log": 0, "rejected": 1},
        ],
    )
    assert cli("load", "--quiet", str(good)) == Outcome(0, "", "")
    quiet = cli("load", "-q", str(bad))
    assert quiet.out == f"{bad}: 2 lines: 0 stored, 1 already in the log, 1 rejected\n"
    assert f"{bad}:2: not JSON" in quiet.err


def test_every_column_is_stored_unchanged(cli: Cli, database: Database, user: uuid.UUID, tmp_path: Path) -> None:
    conversation = database.add_conversations([user])[0]
    record = {
        "log_id": str(uuid.uuid4()),
        "user_id": str(user),
        "conversation_id": str(conversation),
        "response_id": "resp_1",
        "created_at": "2026-11-20T08:00:00.123456Z",
        "user_question": "Wie viele Aufträge? 🤔",
        "ai_response": 'Line one\nline two\t"quoted" \\ back',
        "generated_sql": "SELECT  1",
        "sql_fingerprint": "the database computes it",
        "result_row_count": 1,
        "follow_up_suggestions": ["a", "b"],
        "error_type": "sql_execution",
        "error_message": "timeout",
        "failed_step": "looking_up",
        "is_off_topic": False,
        "sql_model": "gpt-4o-mini-2024-07-18",
        "response_model": "gpt-4o",
        "nl_to_sql_duration_ms": 2147483647,
        "sql_execution_duration_ms": 2,
        "response_generation_duration_ms": 3,
        "ttfb_ms": 0,
        "sql_input_tokens": 5,
        "sql_output_tokens": 6,
        "sql_cached_tokens": 7,
        "response_input_tokens": 8,
        "response_output_tokens": 9,
        "response_cached_tokens": 10,
    }
    outcome = cli("load", str(write(tmp_path / "in.jsonl", json.dumps(record))), database=database)
    assert outcome.code == 0, outcome.err
    with database.connect() as connection:
        stored = connection.execute("select to_jsonb(log) from public.chat_telemetry_log as log").fetchone()
    assert stored is not None
    computed = {
        "created_at": "2026-11-20T08:00:00.123456+00:00",
        "sql_fingerprint": hashlib.md5(b"select 1", usedforsecurity=False).hexdigest(),
    }
    assert stored[0] == {**record, **computed}


INVALID_LINES = [
    ("not JSON", b"nonsense", "not JSON: invalid character"),
    ("JSON cut short", b'{"user_id": "', "not JSON: Input data was truncated"),
    ("two objects", b'{"user_id":"USER","user_question":"q"} {}', "not JSON: trailing characters"),
    ("an array", b"[]", "Expected object, got array"),
    ("no user", b'{"user_question":"q"}', "Object missing required field user_id"),
    ("no question", b'{"user_id":"USER"}', "Object missing required field user_question"),
    ("a null question", b'{"user_id":"USER","user_question":null}', "user_question: Expected str, got null"),
    ("an unknown column", b'{"user_id":"USER","user_question":"q","x":1}', "Object contains unknown field x"),
    ("an unprintable column", b'{"user_id":"USER","user_question":"q","\\u001b[1m":1}', "unknown field \\x1b[1m"),
    ("a string for an integer", b'{"user_id":"USER","user_question":"q","ttfb_ms":"9"}', "ttfb_ms: Expected int"),
    ("a fraction for an integer", b'{"user_id":"USER","user_question":"q","ttfb_ms":1.5}', "ttfb_ms: Expected int"),
    (
        "more than int4",
        b'{"user_id":"USER","user_question":"q","ttfb_ms":2147483648}',
        "ttfb_ms: Expected int <= 21474",
    ),
    (
        "less than int4",
        b'{"user_id":"USER","user_question":"q","ttfb_ms":-2147483649}',
        "ttfb_ms: Expected int >= -2147",
    ),
    ("a negative duration", b'{"user_id":"USER","user_question":"q","ttfb_ms":-1}', "ttfb_ms: is negative"),
    (
        "a time before 2000",
        b'{"user_id":"USER","user_question":"q","created_at":"0001-01-01T00:00:00Z"}',
        "created_at: is before 2000",
    ),
    (
        "a time in the future",
        b'{"user_id":"USER","user_question":"q","created_at":"9999-01-01T00:00:00Z"}',
        "created_at: is more than a day in the future",
    ),
    ("not a UUID", b'{"user_id":"me","user_question":"q"}', "user_id: Invalid UUID"),
    ("not a time", b'{"user_id":"USER","user_question":"q","created_at":"noon"}', "created_at: Invalid RFC3339"),
    ("NaN", b'{"user_id":"USER","user_question":"q","ttfb_ms":NaN}', "not JSON: invalid character"),
    ("a NUL character", b'{"user_id":"USER","user_question":"a\\u0000b"}', "user_question: a NUL character"),
    (
        "a NUL in a list",
        b'{"user_id":"USER","user_question":"q","follow_up_suggestions":["a","\\u0000"]}',
        "follow_up_suggestions: a NUL character",
    ),
    ("a NUL byte", b'{"user_id":"USER","user_question":"a\x00b"}', "not JSON: invalid character"),
    ("half a surrogate pair", b'{"user_id":"USER","user_question":"\\ud83d"}', "a lone surrogate"),
    ("the other half", b'{"user_id":"USER","user_question":"\\ude00"}', "a lone surrogate"),
    ("a broken pair", b'{"user_id":"USER","user_question":"\\ud83dx and more"}', "a lone surrogate"),
    ("not UTF-8", b'{"user_id":"USER","user_question":"\xff"}', "not UTF-8"),
    (
        "a user that does not exist",
        b'{"user_id":"00000000-0000-4000-8000-000000000000","user_question":"q"}',
        "user_id: no such user in auth.users",
    ),
]


def test_invalid_lines_are_rejected_with_a_reason_and_the_lines_around_them_are_stored(
    cli: Cli, database: Database, user: uuid.UUID, tmp_path: Path
) -> None:
    invalid = [content.replace(b"USER", str(user).encode()) for _, content, _ in INVALID_LINES]
    valid = [line(user) for _ in range(len(invalid) + 1)]
    alternating = [each for pair in zip(valid, invalid, strict=False) for each in pair]
    source = write(tmp_path / "in.jsonl", *alternating, valid[-1])
    outcome = cli("load", str(source), database=database)
    assert outcome.code == 1
    assert count(database) == len(valid)
    assert f"{len(valid)} stored, 0 already in the log, {len(invalid)} rejected" in outcome.out
    rejected = (tmp_path / "in.jsonl.rejected.jsonl").read_bytes().splitlines()
    assert sorted(rejected) == sorted(invalid)
    reasons = (tmp_path / "in.jsonl.rejected.reasons.txt").read_text().splitlines()
    for number, (name, _, reason) in enumerate(INVALID_LINES):
        at = rejected.index(invalid[number])
        assert reasons[at].startswith(f"{source}:{2 * number + 2}: "), name
        assert reason in reasons[at], name


def test_rejected_lines_load_once_fixed_and_nothing_is_stored_twice(
    cli: Cli, database: Database, user: uuid.UUID, tmp_path: Path
) -> None:
    source = write(tmp_path / "in.jsonl", line(user), line(user, ttfb_ms="12"))
    assert cli("load", str(source), database=database).code == 1
    rejects = tmp_path / "in.jsonl.rejected.jsonl"
    rejects.write_text(rejects.read_text().replace('"12"', "12"))
    assert cli("load", str(rejects)).code == 0
    assert count(database) == 2
    assert cli("load", str(rejects)).out == f"{rejects}: 1 lines: 0 stored, 1 already in the log, 0 rejected\n"


def test_a_repeated_load_stores_and_rejects_nothing_twice(
    cli: Cli, database: Database, user: uuid.UUID, tmp_path: Path
) -> None:
    without_id = line(user, log_id=None, created_at="2026-11-20T08:00:00Z")
    source = write(tmp_path / "in.jsonl", line(user), without_id, "{}", "{}")
    first = cli("load", str(source), database=database)
    written = [path.read_bytes() for path in sorted(tmp_path.glob("*rejected*"))]
    second = cli("load", str(source))
    assert "2 stored, 0 already in the log, 2 rejected" in first.out
    assert "0 stored, 2 already in the log, 2 rejected" in second.out
    assert [path.read_bytes() for path in sorted(tmp_path.glob("*rejected*"))] == written
    assert written[0] == b"{}\n"


def test_rejects_of_an_earlier_load_are_kept_even_without_a_last_line_feed(
    cli: Cli, database: Database, tmp_path: Path
) -> None:
    rejects = tmp_path / "in.jsonl.rejected.jsonl"
    rejects.write_bytes(b'{"earlier": 1}')
    (tmp_path / "in.jsonl.rejected.reasons.txt").write_text("in.jsonl:7: an earlier reason\n")
    cli("load", str(write(tmp_path / "in.jsonl", "{}")), database=database)
    assert rejects.read_bytes() == b'{"earlier": 1}\n{}\n'
    reasons = (tmp_path / "in.jsonl.rejected.reasons.txt").read_text().splitlines()
    assert reasons[0] == "in.jsonl:7: an earlier reason"
    assert len(reasons) == 2


def test_reasons_of_deleted_rejects_are_deleted(cli: Cli, database: Database, tmp_path: Path) -> None:
    stale = tmp_path / "in.jsonl.rejected.reasons.txt"
    stale.write_text("in.jsonl:7: fixed and deleted\n")
    source = write(tmp_path / "in.jsonl", "{}")
    cli("load", str(source), database=database)
    assert stale.read_text() == f"{source}:1: Object missing required field user_id\n"


def test_only_the_first_reasons_are_printed_and_all_are_kept(cli: Cli, database: Database, tmp_path: Path) -> None:
    outcome = cli("load", str(write(tmp_path / "in.jsonl", *(f"bad {n}" for n in range(50)))), database=database)
    assert outcome.err.count("not JSON") == 20
    assert "30 more reasons in in.jsonl.rejected.reasons.txt" in outcome.err
    assert len((tmp_path / "in.jsonl.rejected.reasons.txt").read_text().splitlines()) == 50


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_gzip_byte_order_marks_blank_lines_and_crlf_are_accepted(
    cli: Cli, database: Database, user: uuid.UUID, tmp_path: Path, compress: Callable[[bytes], bytes]
) -> None:
    source = tmp_path / "in.anything"
    text = f"\ufeff{line(user)}\r\n\r\n   \n{line(user)}"
    source.write_bytes(compress(text.encode()))
    outcome = cli("load", str(source), database=database)
    assert outcome.code == 0, outcome.err
    assert outcome.out == f"{source}: 2 lines: 2 stored, 0 already in the log, 0 rejected\n"


@pytest.mark.parametrize("rest", [b"", b"\xff" * 1000], ids=["cut off", "overwritten"])
def test_the_lines_before_the_damage_of_a_gzip_file_are_stored(
    cli: Cli, database: Database, user: uuid.UUID, tmp_path: Path, rest: bytes
) -> None:
    source = tmp_path / "in.jsonl.gz"
    packed = gzip.compress("".join(f"{line(user)}\n" for _ in range(3000)).encode())
    source.write_bytes(packed[: len(packed) // 2] + rest)
    outcome = cli("load", str(source), database=database)
    assert outcome.code == 1
    assert f"{source}: damaged gzip after line " in outcome.err
    assert 0 < count(database) < 3000


def test_a_disk_that_cannot_be_read_is_not_taken_for_a_damaged_file(
    cli: Cli, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(stream: object) -> None:
        raise OSError(errno.EIO, "Input/output error", "in.jsonl")

    monkeypatch.setattr(load_module, "read_lines", fail)
    outcome = cli("load", str(write(tmp_path / "in.jsonl", "{}")), database=database)
    assert (outcome.code, outcome.out, outcome.err) == (1, "", "error: in.jsonl: Input/output error\n")


def test_an_empty_file_is_not_an_error(cli: Cli, database: Database, tmp_path: Path) -> None:
    outcome = cli("load", str(write(tmp_path / "in.jsonl")), database=database)
    assert (outcome.code, outcome.err) == (0, "")
    assert "0 lines: 0 stored" in outcome.out


def test_a_line_that_is_too_long_is_rejected_whole_and_the_next_one_stored(
    cli: Cli, database: Database, user: uuid.UUID, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat_telemetry._cli.input_lines.MAX_LINE_BYTES", 1024)
    long = line(user, ai_response="x" * 5000)
    outcome = cli("load", str(write(tmp_path / "in.jsonl", long, line(user))), database=database)
    assert ":1: longer than" in outcome.err
    assert (tmp_path / "in.jsonl.rejected.jsonl").read_text() == f"{long}\n"
    assert count(database) == 1
    outcome = cli("load", str(tmp_path / "in.jsonl"))
    assert (tmp_path / "in.jsonl.rejected.jsonl").read_text() == f"{long}\n"


def test_a_record_of_megabytes_is_stored(cli: Cli, database: Database, user: uuid.UUID, tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", line(user, ai_response="x" * 10_000_000), line(user))
    assert cli("load", str(source), database=database).code == 0
    assert count(database) == 2


def test_with_a_missing_file_or_a_directory_nothing_is_loaded(
    cli: Cli, database: Database, user: uuid.UUID, tmp_path: Path
) -> None:
    valid = write(tmp_path / "in.jsonl", line(user))
    missing = cli("load", str(valid), "missing.jsonl", database=database)
    assert (missing.code, missing.err) == (2, "error: missing.jsonl: no such file\n")
    assert cli("load", str(valid), str(tmp_path)).err == f"error: {tmp_path}: is a directory\n"
    assert count(database) == 0


def test_rejects_are_never_written_to_the_input_file(cli: Cli, database: Database, tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", "bad")
    outcome = cli("load", str(source), "--rejected", str(source), database=database)
    assert outcome.code == 2
    assert source.read_text() == "bad\n"


def test_stdin_is_read_and_its_rejects_go_to_the_working_directory(
    database: Database, user: uuid.UUID, tmp_path: Path
) -> None:
    text = f"{line(user)}\nbad\n".encode()
    url = {"CHAT_TELEMETRY_DATABASE_URL": database.conninfo}
    outcome = process("load", "-", stdin=text, cwd=tmp_path, environment=url)
    assert outcome.code == 1
    assert outcome.out == "stdin: 2 lines: 1 stored, 0 already in the log, 1 rejected\n"
    assert outcome.err.startswith("stdin:2: not JSON")
    assert (tmp_path / "stdin.rejected.jsonl").read_text() == "bad\n"
    assert process("load", "-", stdin=gzip.compress(text), cwd=tmp_path, environment=url).out.startswith(
        "stdin: 2 lines: 0 stored"
    )


def test_missing_users_and_conversations_can_be_created(cli: Cli, database: Database, tmp_path: Path) -> None:
    user, conversation = uuid.uuid4(), uuid.uuid4()
    source = write(tmp_path / "in.jsonl", *(line(user, conversation_id=str(conversation)) for _ in range(3)))
    assert cli("load", str(source), database=database).code == 1
    assert cli("load", str(source), "--create-parents").code == 0
    with database.connect() as connection:
        rows = connection.execute("select distinct user_id, conversation_id from public.chat_telemetry_log").fetchall()
    assert rows == [(user, conversation)]


def test_creating_users_that_need_more_than_a_key_fails_with_one_line(
    cli: Cli, database: Database, tmp_path: Path
) -> None:
    with database.connect() as connection:
        connection.execute("alter table auth.users add column email text not null")
    source = write(tmp_path / "in.jsonl", line(uuid.uuid4()))
    outcome = cli("load", str(source), "--create-parents", database=database)
    assert outcome.code == 1
    assert outcome.err.count("\n") == 1
    assert "load without --create-parents" in outcome.err


def test_a_role_that_is_only_a_member_of_service_role_can_load(
    cli: Cli, database: Database, user: uuid.UUID, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loader = sql.Identifier(f"loader_{database.name}")
    with database.connect() as connection:
        connection.execute(sql.SQL("create role {} login password 'secret' in role service_role").format(loader))
    try:
        monkeypatch.setenv(
            "CHAT_TELEMETRY_DATABASE_URL", f"{database.conninfo_as(f'loader_{database.name}')} password=secret"
        )
        source = write(tmp_path / "in.jsonl", line(user), line(uuid.uuid4(), conversation_id=str(uuid.uuid4())))
        assert cli("load", str(source), "--create-parents").code == 0
    finally:
        with database.connect() as connection:
            connection.execute(sql.SQL("drop role {}").format(loader))
    assert count(database) == 2


def test_without_the_insert_privilege_load_fails_with_advice_and_rejects_nothing(
    cli: Cli, database: Database, user: uuid.UUID, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = f"nobody_{database.name}"
    with database.connect() as connection:
        connection.execute(sql.SQL("create role {} login password 'secret'").format(sql.Identifier(role)))
    try:
        monkeypatch.setenv("CHAT_TELEMETRY_DATABASE_URL", f"{database.conninfo_as(role)} password=secret")
        outcome = cli("load", str(write(tmp_path / "in.jsonl", line(user))))
    finally:
        with database.connect() as connection:
            connection.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))
    assert outcome.code == 3
    assert "grant telemetry_writer to" in outcome.err
    assert list(tmp_path.glob("*rejected*")) == []


def test_a_load_that_lost_its_server_prints_its_progress_and_can_be_repeated(
    cli: Cli, database: Database, user: uuid.UUID, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_module, "BATCH_LINES", 10)
    monkeypatch.setattr("chat_telemetry._delivery.store.IDLE_S", 3600)
    source = write(tmp_path / "in.jsonl", *(line(user, log_id=None, ttfb_ms=n) for n in range(100)))
    send = load_module.FileLoad._send

    def send_and_cut_the_connection_once(load: load_module.FileLoad) -> None:
        send(load)
        if load._stored == 50:
            cut_other_sessions(database)

    monkeypatch.setattr(load_module.FileLoad, "_send", send_and_cut_the_connection_once)
    outcome = cli("load", str(source), database=database)
    assert outcome.code == 3
    assert outcome.err == (
        "error: terminating connection due to administrator command: check --database-url and the server. "
        f"{source}: 50 stored so far; run the same command again, nothing is stored twice\n"
    )
    monkeypatch.setattr(load_module.FileLoad, "_send", send)
    assert "50 stored, 50 already in the log" in cli("load", str(source)).out
    assert count(database) == 100


def cut_other_sessions(database: Database) -> None:
    with psycopg.connect(database.conninfo, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )


def test_without_migrations_load_says_run_migrate(cli: Cli, empty_database: Database, tmp_path: Path) -> None:
    outcome = cli("load", str(write(tmp_path / "in.jsonl", "{}")), database=empty_database)
    assert outcome.code == 4
    assert "run `chat-telemetry migrate`" in outcome.err
