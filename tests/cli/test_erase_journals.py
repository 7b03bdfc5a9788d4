"""`chat-telemetry erase` removes a user's records from a journal directory, and leaves all other bytes as they are."""

from __future__ import annotations

import errno
import json
import os
import pwd
import signal
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest

from chat_telemetry import ANONYMOUS_USER, TelemetryRecord, user_key
from chat_telemetry._cli import journal_directory
from chat_telemetry._cli.erase import journals, rewriting
from chat_telemetry._cli.erase.journals import CleanedDirectory
from chat_telemetry._delivery.dead_letters import DeadLetters
from chat_telemetry._delivery.locked_files import open_locked
from chat_telemetry._delivery.segment import Segment
from chat_telemetry._delivery.store import Rejection
from chat_telemetry._encoding import encode
from tests.cli.conftest import Cli
from tests.planted import PLANTED, plant

VICTIM = uuid.UUID("6f0f6a3e-3f7b-5a0e-9d2e-0c7d8a4b1f00")
OTHER = uuid.UUID("0a1b2c3d-3f7b-5a0e-9d2e-0c7d8a4b1f01")
REJECTED = Rejection(0, "ForeignKeyViolation (23503)", f"the user {VICTIM} is unknown")
LETTERS = "dead-letters.jsonl"
OTHER_TEXTS = ("Größe \\ \"quoted\" \t 'x' \u2028", f"What did {VICTIM} ask?", "\x01")


def line(user: uuid.UUID, **columns: Any) -> bytes:
    return encode(TelemetryRecord(user_id=user, **{"user_question": "How many orders?", **columns}))


def journal(directory: Path, *lines: bytes) -> Segment:
    """A journal that this process has locked."""
    segment = Segment.create(directory)
    for text in lines:
        segment.append(text)
    return segment


def letter(record: Any, **more: Any) -> bytes:
    return json.dumps({"rejected_at": "2026-11-23T08:00:00Z", "reason": "r", "record": record, **more}).encode()


def clean(directory: Path, *users: uuid.UUID) -> CleanedDirectory:
    cleaned = CleanedDirectory(directory)
    assert cleaned.clean(users or [VICTIM]) == []
    return cleaned


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_records_of_the_user_go_and_those_of_others_stay_byte_for_byte(tmp_path: Path) -> None:
    dead = DeadLetters(tmp_path)
    for text in OTHER_TEXTS:
        dead.add(line(VICTIM, user_question=text, ai_response="naïve"), REJECTED)
        dead.add(line(OTHER, user_question=text), Rejection(0, "r", "d"))
    segment = journal(tmp_path, *(line(user, user_question=text) for text in OTHER_TEXTS for user in (VICTIM, OTHER)))
    segment.release()
    before = files(tmp_path)
    cleaned = clean(tmp_path)
    assert (cleaned.dead_letters, cleaned.records) == (3, 3)
    # Every second line was that of the other user.
    assert files(tmp_path) == {name: b"".join(text.splitlines(keepends=True)[1::2]) for name, text in before.items()}
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


KEPT_LETTERS = [
    b"",
    b"[]",
    b"\0\0\0\0 zeros of a crash",
    letter({"user_id": str(OTHER), "user_question": str(VICTIM)}),
    letter(json.dumps([str(uuid.uuid4()), str(OTHER), "cut"])[:-2]),
    letter([str(uuid.uuid4()), str(OTHER), str(VICTIM)]),
    letter({"user_id": None}),
    letter(5),
    letter([5]),
    line(OTHER, user_question=str(VICTIM)),
    b"\xff\xfe not UTF-8",
    b'{"user_id":"' + str(OTHER).encode() + b'","user_question":"' + str(VICTIM).encode() + b'"}',
]
REMOVED_LETTERS = [
    letter({"user_id": str(VICTIM).upper(), "user_question": "fixed by hand"}),
    letter({"user_id": VICTIM.hex}),
    letter({"user_id": f"{{{VICTIM}}}"}),
    letter(line(VICTIM).decode()[:-2]),
    letter(["a line of another version", str(VICTIM)] + [None] * 40),
    letter({"user_id": None, "note": f"of {VICTIM}"}),
    letter({"id": VICTIM.hex.upper()}),
    line(VICTIM),
    b'{"user_id":"\\u0036f0f6a3e-3f7b-5a0e-9d2e-0c7d8a4b1f00","user_question":"escaped"}',
    line(VICTIM)[:90],
    b"\xff" + str(VICTIM).encode(),
    b"[" + str(VICTIM).encode() + b"]",
]


@pytest.mark.parametrize("ends_with_line_feed", [True, False])
def test_lines_that_are_no_records_are_removed_if_they_have_the_id(tmp_path: Path, ends_with_line_feed: bool) -> None:
    mixed = [text for pair in zip(KEPT_LETTERS, REMOVED_LETTERS, strict=True) for text in pair]
    mixed += [KEPT_LETTERS[2]]
    (tmp_path / LETTERS).write_bytes(b"\n".join(mixed) + b"\n" * ends_with_line_feed)
    cleaned = clean(tmp_path)
    assert cleaned.dead_letters == len(REMOVED_LETTERS)
    kept = b"\n".join([*KEPT_LETTERS, KEPT_LETTERS[2]]) + b"\n" * ends_with_line_feed
    assert files(tmp_path) == {LETTERS: kept}


def test_several_users_and_files_of_interrupted_replays_are_cleaned_at_once(tmp_path: Path) -> None:
    third = user_key("auth0|65f1")
    interrupted = f"dead-letters-{uuid.UUID(int=0)}.jsonl"
    lines = [letter({"user_id": str(user)}) for user in (VICTIM, OTHER, third)]
    for name in (LETTERS, interrupted):
        (tmp_path / name).write_bytes(b"\n".join(lines) + b"\n")
    assert clean(tmp_path, VICTIM, third).dead_letters == 4
    assert files(tmp_path) == {LETTERS: lines[1] + b"\n", interrupted: lines[1] + b"\n"}


def test_a_file_without_records_of_the_user_is_not_written_again(tmp_path: Path) -> None:
    (tmp_path / LETTERS).write_bytes(letter({"user_id": str(OTHER)}) + b"\n")
    journal(tmp_path, line(OTHER)).release()
    before = {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in tmp_path.iterdir()}
    cleaned = clean(tmp_path)
    assert (cleaned.dead_letters, cleaned.records) == (0, 0)
    assert {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in tmp_path.iterdir()} == before


def test_a_file_that_has_only_records_of_the_user_is_deleted(tmp_path: Path) -> None:
    (tmp_path / LETTERS).write_bytes(letter({"user_id": str(VICTIM)}) + b"\n")
    journal(tmp_path, line(VICTIM), line(VICTIM)).release()
    (tmp_path / "notes.txt").write_text(str(VICTIM))
    cleaned = clean(tmp_path)
    assert (cleaned.dead_letters, cleaned.records) == (1, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("position", range(40, 80))
def test_a_damaged_line_of_any_length_is_searched_for_the_id(
    tmp_path: Path, position: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewriting, "MAX_LINE_BYTES", 50)
    monkeypatch.setattr(rewriting, "BLOCK_BYTES", 7)
    damaged = b"\0" * position + str(VICTIM).encode() + b"\0" * 90
    harmless = b"\0" * position + str(OTHER).encode() + b"\0" * 90
    path = tmp_path / f"journal-{uuid.UUID(int=0)}.jsonl"
    for rest in (b"\n", b""):
        path.write_bytes(harmless + b"\n" + damaged + b"\n" + harmless + rest)
        assert clean(tmp_path).records == 1
        assert path.read_bytes() == harmless + b"\n" + harmless + rest


def test_journals_of_running_processes_are_named_if_they_have_records_of_the_user(cli: Cli, tmp_path: Path) -> None:
    with_records, without = journal(tmp_path, line(OTHER), line(VICTIM)), journal(tmp_path, line(OTHER))
    before = files(tmp_path)
    outcome = cli("erase", str(VICTIM), "--files-only", "--journal-dir", str(tmp_path), "--yes")
    assert outcome.code == 1
    assert f"left: {with_records.path}: a running process sends these records" in outcome.out
    assert str(without.path) not in outcome.out
    assert "nothing is left" not in outcome.out
    assert files(tmp_path) == before
    with_records.release()
    again = cli("erase", str(VICTIM), "--files-only", "--journal-dir", str(tmp_path), "--yes")
    assert (again.code, again.err) == (0, "")
    assert again.out.startswith(
        f"{tmp_path}: 0 dead letters and 1 record of journals deleted\nnothing is left in these directories\n"
    )
    without.release()


def test_letters_are_locked_only_for_those_that_were_added_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = DeadLetters(tmp_path)
    for user in (VICTIM, OTHER):
        dead.add(line(user), Rejection(0, "r", "d"))
    size = (tmp_path / LETTERS).stat().st_size
    read: list[int] = []
    lock, finish = journals._lock, journals._finish

    def add_first(path: Path) -> int | None:
        dead.add(line(OTHER, user_question="meanwhile"), Rejection(0, "r", "d"))
        return lock(path)

    def note(sieve: rewriting.Sieve, replacement: rewriting.Replacement) -> None:
        read.append(sieve._read)
        finish(sieve, replacement)

    monkeypatch.setattr(journals, "_lock", add_first)
    monkeypatch.setattr(journals, "_finish", note)
    assert clean(tmp_path).dead_letters == 1
    assert read == [size]
    assert len((tmp_path / LETTERS).read_bytes().splitlines()) == 2


def test_letters_that_are_added_meanwhile_are_kept(tmp_path: Path) -> None:
    stop = threading.Event()

    def add() -> None:
        dead = DeadLetters(tmp_path)
        for number in range(10**6):
            dead.add(line(OTHER, user_question=f"question {number}"), Rejection(0, "r", "d"))
            dead.add(line(VICTIM), Rejection(0, "r", "d"))
            added.append(number)
            if stop.is_set():
                return

    added: list[int] = []
    writer = threading.Thread(target=add)
    writer.start()
    try:
        while len(added) < 100 and writer.is_alive():
            clean(tmp_path)
    finally:
        stop.set()
        writer.join()
    clean(tmp_path)
    kept = [json.loads(text)["record"]["user_question"] for text in (tmp_path / LETTERS).read_bytes().splitlines()]
    assert kept == [f"question {number}" for number in added]
    assert len(added) >= 100


def test_a_replay_that_takes_the_letters_meanwhile_loses_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = DeadLetters(tmp_path)
    dead.add(line(VICTIM), Rejection(0, "r", "d"))
    dead.add(line(OTHER), Rejection(0, "r", "d"))
    taken = tmp_path / f"dead-letters-{uuid.UUID(int=0)}.jsonl"
    lock = journals._lock

    def take_first(path: Path) -> int | None:
        if not taken.exists():
            path.rename(taken)
            dead.add(line(VICTIM, user_question="rejected again"), Rejection(0, "r", "d"))
        return lock(path)

    monkeypatch.setattr(journals, "_lock", take_first)
    assert clean(tmp_path).dead_letters == 2
    assert [json.loads(text)["record"]["user_id"] for text in taken.read_bytes().splitlines()] == [str(OTHER)]
    assert [path.name for path in tmp_path.iterdir()] == [taken.name]


def test_letters_that_a_running_replay_sends_are_named(tmp_path: Path) -> None:
    taken = tmp_path / f"dead-letters-{uuid.UUID(int=0)}.jsonl"
    taken.write_bytes(letter({"user_id": str(VICTIM)}) + b"\n")
    descriptor = open_locked(taken, os.O_RDWR)
    assert descriptor
    assert [place for place, _ in CleanedDirectory(tmp_path).clean([VICTIM])] == [str(taken)]
    os.close(descriptor)
    assert clean(tmp_path).dead_letters == 1


def test_letters_whose_lock_is_held_all_the_time_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "LOCK_TRIES", 2)
    (tmp_path / LETTERS).write_bytes(letter({"user_id": str(VICTIM)}) + b"\n")
    descriptor = open_locked(tmp_path / LETTERS, os.O_RDWR)
    assert descriptor
    assert [place for place, _ in CleanedDirectory(tmp_path).clean([VICTIM])] == [str(tmp_path / LETTERS)]
    assert [path.name for path in tmp_path.iterdir()] == [LETTERS]
    os.close(descriptor)


@pytest.mark.parametrize("moment", ["replace", "fsync"])
def test_a_command_that_is_killed_leaves_the_old_file_and_the_next_one_finishes(tmp_path: Path, moment: str) -> None:
    directory = tmp_path / "journal"
    directory.mkdir(mode=0o700)
    (directory / LETTERS).write_bytes(b"\n".join(letter({"user_id": str(user)}) for user in (VICTIM, OTHER)) + b"\n")
    before = files(directory)
    program = f"""
import os, signal, sys
from pathlib import Path
def kill(*_): os.kill(os.getpid(), signal.SIGKILL)
{"Path.replace" if moment == "replace" else "os.fsync"} = kill
from chat_telemetry._cli import main
sys.argv[1:] = ["erase", {str(VICTIM)!r}, "--files-only", "--yes", "--journal-dir", {str(directory)!r}]
main()
"""
    killed = subprocess.run([sys.executable, "-c", program], check=False, cwd=tmp_path)
    assert killed.returncode == -signal.SIGKILL
    left = files(directory)
    assert len(left) == 2
    assert left[LETTERS] == before[LETTERS]
    assert clean(directory).dead_letters == 1
    assert files(directory) == {LETTERS: letter({"user_id": str(OTHER)}) + b"\n"}


def test_a_full_disk_is_an_error_and_changes_nothing(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal(tmp_path, line(VICTIM), line(OTHER)).release()
    before = files(tmp_path)

    def write(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", write)
    outcome = cli("erase", str(VICTIM), "--files-only", "--journal-dir", str(tmp_path), "--yes")
    assert outcome.code == 1
    assert outcome.err == (
        "error: No space left on device. Done: 0 rows of the log and 0 lines of files deleted. "
        "Run the same command again, it continues\n"
    )
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    "name", [LETTERS, f"dead-letters-{uuid.UUID(int=0)}.jsonl", f"journal-{uuid.UUID(int=0)}.jsonl"]
)
@pytest.mark.parametrize("kind", [kind for kind in PLANTED if kind != "another user's"])
def test_links_and_special_files_are_named_and_not_followed(
    cli: Cli, tmp_path: Path, name: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "journal"
    directory.mkdir(mode=0o700)
    target = plant(kind, directory / name, monkeypatch)
    content = letter({"user_id": str(VICTIM)}) + b"\n"
    target.write_bytes(content)
    outcome = cli("erase", str(VICTIM), "--files-only", "--journal-dir", str(directory), "--yes")
    assert (outcome.code, outcome.err) == (1, "")
    assert f"left: {directory / name}: " in outcome.out
    assert PLANTED[kind] in outcome.out
    assert target.read_bytes() == content
    assert {path.name for path in directory.iterdir()} == {name, target.name}


def test_another_user_gets_the_command_that_cleans_only_files(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_directory, "current_user", lambda: os.geteuid() + 1)
    outcome = cli("erase", "--key", "alice@example.com", "--journal-dir", ".", "--yes")
    assert (outcome.code, outcome.out, outcome.err) == (
        2,
        "",
        f"error: . belongs to another user: run `sudo -u {pwd.getpwuid(os.geteuid()).pw_name} chat-telemetry erase "
        f"{user_key('alice@example.com')} --files-only --journal-dir {tmp_path}`\n",
    )


def test_a_directory_that_cannot_be_used_is_refused_before_anything_is_done(cli: Cli, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    journal(shared, line(VICTIM)).release()
    shared.chmod(0o770)
    outcome = cli("erase", str(VICTIM), "--files-only", "--journal-dir", "shared", "--yes")
    assert (outcome.code, outcome.err) == (2, "error: other users can write to shared: run `chmod 700 shared`\n")
    outcome = cli("erase", str(VICTIM), "--files-only", "--journal-dir", "nowhere", "--yes")
    assert (outcome.code, outcome.err) == (2, "error: nowhere: no such directory\n")
    assert len(files(shared)) == 1


def test_directories_come_from_the_environment_or_from_several_options(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for directory in (first, second):
        journal(directory, line(VICTIM)).release()
    monkeypatch.setenv("CHAT_TELEMETRY_JOURNAL_DIR", str(first))
    assert cli("erase", str(VICTIM), "--files-only", "--yes").code == 0
    assert (files(first), len(files(second))) == ({}, 1)
    journal(first, line(VICTIM)).release()
    options = ["--journal-dir", str(first), "--journal-dir", str(second), "--json"]
    outcome = cli("erase", str(VICTIM), "--files-only", "--yes", *options)
    assert json.loads(outcome.out)["journals"] == [
        {"directory": str(directory), "dead_letters": 0, "records": 1} for directory in (first, second)
    ]
    assert (files(first), files(second)) == ({}, {})


def test_files_only_needs_a_directory_and_a_confirmation(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = cli("erase", str(VICTIM), "--files-only", "--yes")
    assert (outcome.code, outcome.err) == (2, "error: --files-only needs --journal-dir\n")
    journal(tmp_path, line(VICTIM)).release()
    outcome = cli("erase", str(VICTIM), "--files-only", "--journal-dir", ".")
    assert (outcome.code, outcome.err) == (
        2,
        "error: erase asks for confirmation and there is no terminal: add --yes\n",
    )
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: False)
    outcome = cli("erase", str(VICTIM), "--files-only", "--journal-dir", ".")
    assert (outcome.code, outcome.err) == (1, "error: nothing was erased\n")
    assert len(files(tmp_path)) == 1


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        (
            "alice@example.com",
            "'alice@example.com' is not a UUID: add --key if your application makes the user_id of it",
        ),
        ("42", "'42' is not a UUID: add --key"),
        ("", "an empty USER_ID is no user"),
        (str(ANONYMOUS_USER), "is the user of all chats without a user"),
    ],
)
def test_an_argument_that_is_no_user_is_one_line(cli: Cli, tmp_path: Path, argument: str, message: str) -> None:
    outcome = cli("erase", str(VICTIM), argument, "--files-only", "--journal-dir", str(tmp_path), "--yes")
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert message in outcome.err


@pytest.mark.parametrize("key", ["alice@example.com", "42", "auth0|65f1…", str(VICTIM).upper()])
def test_a_key_is_the_user_that_user_key_makes_of_it(cli: Cli, tmp_path: Path, key: str) -> None:
    journal(tmp_path, line(user_key(key)), line(OTHER)).release()
    outcome = cli("erase", "--key", key, "--files-only", "--journal-dir", str(tmp_path), "--yes")
    assert outcome.code == 0
    assert "0 dead letters and 1 record of journals deleted" in outcome.out


@pytest.mark.parametrize("command", [["erase", str(VICTIM), "--files-only", "--yes"], ["replay"]])
def test_an_empty_directory_is_not_the_current_one(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    """As `--journal-dir "$CHAT_TELEMETRY_JOURNAL_DIR"` passes it if the variable is not set."""
    monkeypatch.chdir(tmp_path)
    DeadLetters(tmp_path).add(line(VICTIM), REJECTED)
    before = (tmp_path / LETTERS).read_bytes()
    outcome = cli(*command, "--journal-dir", "", "--database-url", "host=x")
    assert outcome.code == 2
    assert "it is empty: name the directory of the journals" in outcome.err
    assert (tmp_path / LETTERS).read_bytes() == before


def test_the_directory_of_the_loader_can_have_a_colon(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "a:b"
    directory.mkdir(mode=0o700)
    DeadLetters(directory).add(line(VICTIM), REJECTED)
    monkeypatch.setenv("CHAT_TELEMETRY_JOURNAL_DIR", str(directory))
    assert cli("erase", str(VICTIM), "--files-only", "--yes").code == 0
    assert not (directory / LETTERS).exists()
