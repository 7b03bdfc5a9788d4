"""`chat-telemetry replay` sends the journals of dead processes and the dead letters, and prints the outcome."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest

from chat_telemetry import TelemetryRecord
from chat_telemetry._delivery.segment import Segment
from chat_telemetry._encoding import encode
from tests.cli.conftest import Cli, count
from tests.conftest import Database


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
    (tmp_path / "journal-0.jsonl").mkdir()
    outcome = cli("replay", "--journal-dir", str(tmp_path), database=database)
    assert outcome.code == 1
    assert outcome.err == f"{tmp_path}/journal-0.jsonl: Is a directory\n"


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
    unreadable = tmp_path / "journal-0.jsonl"
    unreadable.mkdir()
    leave(tmp_path, line(user)).release()
    outcome = cli("replay", "--journal-dir", str(tmp_path), database=database)
    assert (outcome.code, outcome.err) == (1, f"{unreadable}: Is a directory\n")
    assert outcome.out.endswith("\njournals: 1 records: 1 stored, 0 already in the log, 0 rejected\n")
