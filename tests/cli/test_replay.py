"""`chat-telemetry replay` sends the journals of dead processes and the dead letters, and prints the outcome."""

from __future__ import annotations

import json
import os
import pwd
import uuid
from pathlib import Path

import pytest

from chat_telemetry import TelemetryRecord
from chat_telemetry._cli import journal_directory
from chat_telemetry._delivery.segment import Segment
from chat_telemetry._encoding import encode
from tests.cli.conftest import Cli, Outcome, count
from tests.conftest import Database
from tests.planted import PLANTED, plant

FIRST_NAME = f"journal-{uuid.UUID(int=0)}.jsonl"


@pytest.fixture
def user(database: Database) -> uuid.UUID:
    return database.add_users(1)[0]


def line(user: uuid.UUID) -> str:
    return encode(TelemetryRecord(user_id=user, user_question="How many orders?")).decode()


def leave(directory: Path, *lines: str) -> Segment:
    segment = Segment.create(directory)
    for text in lines:
        segment.append(text.encode())
    return segment


def test_journals_and_dead_letters_are_sent_and_the_outcome_is_printed(
    cli: Cli, database: Database, user: uuid.UUID, tmp_path: Path
) -> None:
    database.let_the_application_own_users()
    journal = tmp_path / "journal"
    absent = uuid.uuid4()
    known, rejected = line(user), line(absent)
    leave(journal, known, rejected).release()
    first = cli("replay", "--journal-dir", str(journal), database=database)
    assert (first.code, first.out) == (
        1,
        "dead letters: 0 records: 0 stored, 0 already in the log, 0 rejected\n"
        "journals: 2 records: 1 stored, 0 already in the log, 1 rejected\n",
    )
    assert first.err == f"the rejected records and the reasons are in {journal}/dead-letters.jsonl\n"
    with database.connect() as connection:
        connection.execute("insert into auth.users (id) values (%s)", [absent])
    leave(journal, known, line(user)).release()
    second = cli("replay", "--journal-dir", str(journal), database=database)
    assert (second.code, second.out) == (
        0,
        "dead letters: 1 records: 1 stored, 0 already in the log, 0 rejected\n"
        "journals: 2 records: 1 stored, 1 already in the log, 0 rejected\n",
    )
    assert second.err == ""
    assert count(database) == 3
    assert list(journal.iterdir()) == []


def test_the_outcome_is_json_or_silence(cli: Cli, database: Database, user: uuid.UUID, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    leave(tmp_path, line(user)).release()
    outcome = cli("replay", "--journal-dir", str(tmp_path), "--json", database=database)
    counts = {"records": 0, "stored": 0, "already_in_the_log": 0, "rejected": 0, "deleted": 0}
    assert (outcome.code, [json.loads(text) for text in outcome.out.splitlines()]) == (
        0,
        [{"source": "dead letters", **counts}, {"source": "journals", **counts, "records": 1, "stored": 1}],
    )
    assert cli("replay", "--journal-dir", str(tmp_path), "--quiet", database=database) == Outcome(0, "", "")


def test_the_records_of_erased_users_are_deleted(cli: Cli, database: Database, user: uuid.UUID, tmp_path: Path) -> None:
    letter = {"rejected_at": "2026-11-23T08:00:00Z", "reason": "r", "record": json.loads(line(user))}
    (tmp_path / "dead-letters.jsonl").write_text(json.dumps(letter))
    leave(tmp_path, line(user), line(user)).release()
    with database.connect() as connection:
        connection.execute("delete from auth.users")
    outcome = cli("replay", "--journal-dir", str(tmp_path), database=database)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == (
        "dead letters: 1 records: 0 stored, 0 already in the log, 1 rejected\n"
        "1 of the rejected records were deleted, because their users were erased\n"
        "journals: 2 records: 0 stored, 0 already in the log, 2 rejected\n"
        "2 of the rejected records were deleted, because their users were erased\n"
    )
    assert (count(database), list(tmp_path.iterdir())) == (0, [])
    with database.connect() as connection:
        assert connection.execute("select count(*) from auth.users").fetchall() == [(0,)]


def test_a_tilde_is_the_home_directory(
    cli: Cli, database: Database, user: uuid.UUID, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    leave(tmp_path / "journal", line(user)).release()
    assert cli("replay", "--journal-dir", "~/journal", database=database).code == 0
    assert count(database) == 1


def test_dead_letters_can_be_left_out(cli: Cli, database: Database, user: uuid.UUID, tmp_path: Path) -> None:
    letter = {"rejected_at": "2026-11-23T08:00:00Z", "reason": "r", "record": json.loads(line(user))}
    (tmp_path / "dead-letters.jsonl").write_text(json.dumps(letter))
    outcome = cli("replay", "--journal-dir", str(tmp_path), "--no-dead-letters", database=database)
    assert (outcome.code, outcome.out) == (0, "journals: 0 records: 0 stored, 0 already in the log, 0 rejected\n")
    assert count(database) == 0
    assert cli("replay", "--journal-dir", str(tmp_path), database=database).code == 0
    assert count(database) == 1


def test_the_journal_of_a_running_process_is_skipped(
    cli: Cli, database: Database, user: uuid.UUID, tmp_path: Path
) -> None:
    running = leave(tmp_path, line(user))
    outcome = cli("replay", "--journal-dir", str(tmp_path), database=database)
    assert outcome.code == 0
    assert outcome.out.endswith("1 journals belong to running processes, which send them\n")
    assert count(database) == 0
    running.release()


def test_a_journal_that_cannot_be_read_is_named(cli: Cli, database: Database, tmp_path: Path) -> None:
    (tmp_path / FIRST_NAME).mkdir()
    outcome = cli("replay", "--journal-dir", str(tmp_path), database=database)
    assert outcome.code == 1
    assert outcome.err == f"{tmp_path}/{FIRST_NAME}: Is a directory\n"


def test_without_a_server_or_a_log_every_journal_is_kept(cli: Cli, empty_database: Database, tmp_path: Path) -> None:
    leave(tmp_path, line(uuid.uuid4())).release()
    outcome = cli("replay", "--journal-dir", str(tmp_path), database=empty_database)
    assert outcome.code == 3
    assert outcome.err == (
        "error: the database rejects telemetry, UndefinedTable (42P01): run `chat-telemetry migrate`. "
        "Run the same command again, nothing is stored twice\n"
    )
    outcome = cli("replay", "--journal-dir", str(tmp_path), "--database-url", "host=127.0.0.1 port=1")
    assert outcome.code == 3
    assert len(list(tmp_path.glob("journal-*"))) == 1


def test_a_missing_directory_is_a_usage_error(cli: Cli, database: Database) -> None:
    outcome = cli("replay", "--journal-dir", "nowhere", database=database)
    assert (outcome.code, outcome.err) == (2, "error: nowhere: no such directory\n")


def test_a_journal_that_cannot_be_read_is_named_and_belongs_to_no_running_process(
    cli: Cli, database: Database, user: uuid.UUID, tmp_path: Path
) -> None:
    unreadable = tmp_path / FIRST_NAME
    unreadable.mkdir()
    leave(tmp_path, line(user)).release()
    outcome = cli("replay", "--journal-dir", str(tmp_path), database=database)
    assert (outcome.code, outcome.err) == (1, f"{unreadable}: Is a directory\n")
    assert outcome.out.endswith("\njournals: 1 records: 1 stored, 0 already in the log, 0 rejected\n")


def test_another_user_is_told_the_command_and_nothing_is_opened_or_created(
    cli: Cli, database: Database, user: uuid.UUID, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = tmp_path / "the journal"
    leave(journal, line(user), line(uuid.uuid4())).release()
    before = {path.name: path.stat() for path in journal.iterdir()}
    monkeypatch.setattr(journal_directory, "current_user", lambda: os.geteuid() + 1)
    outcome = cli("replay", "--journal-dir", "the journal", database=database)
    owner = pwd.getpwuid(os.geteuid()).pw_name
    assert (outcome.code, outcome.out, outcome.err) == (
        2,
        "",
        f"error: the journal belongs to another user: run "
        f"`sudo -u {owner} chat-telemetry replay --journal-dir '{journal}'`\n",
    )
    assert {path.name: path.stat() for path in journal.iterdir()} == before
    assert count(database) == 0


def test_a_user_without_a_name_is_named_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    assert journal_directory.user_name(1234) == "'#1234'"


def test_a_directory_that_other_users_can_write_to_is_refused(
    cli: Cli, database: Database, user: uuid.UUID, tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    leave(journal, line(user)).release()
    journal.chmod(0o770)
    outcome = cli("replay", "--journal-dir", "journal", database=database)
    assert (outcome.code, outcome.err) == (2, "error: other users can write to journal: run `chmod 700 journal`\n")
    assert count(database) == 0


@pytest.mark.parametrize("name", ["dead-letters.jsonl", f"dead-letters-{uuid.UUID(int=0)}.jsonl"])
@pytest.mark.parametrize("kind", [kind for kind in PLANTED if kind != "another user's"])
def test_dead_letters_that_are_a_link_or_no_file_are_refused_in_one_line(
    cli: Cli, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, name: str, kind: str
) -> None:
    journal = tmp_path / "journal"
    journal.mkdir(mode=0o700)
    target = plant(kind, journal / name, monkeypatch)
    outcome = cli("replay", "--journal-dir", str(journal), database=database)
    assert outcome.code == 1
    assert outcome.err.count("\n") == 1
    assert outcome.err.startswith(f"error: {journal / name}: ")
    assert PLANTED[kind] in outcome.err
    assert target.read_text() == "private\n"


@pytest.mark.parametrize("name", ["dead-letters-1.jsonl", "dead-letters.jsonl~", "dead-letters.copy.jsonl"])
def test_dead_letters_with_another_name_are_ignored(cli: Cli, database: Database, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("{}\n")
    assert cli("replay", "--journal-dir", str(tmp_path), database=database).code == 0
    assert [path.name for path in tmp_path.iterdir()] == [name]
