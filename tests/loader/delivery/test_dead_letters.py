from __future__ import annotations

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from chat_telemetry import Stats
from chat_telemetry._delivery import dead_letters
from chat_telemetry._delivery.dead_letters import DeadLetters
from chat_telemetry._delivery.locked_files import open_locked
from chat_telemetry._delivery.segment import CUT_BYTES
from chat_telemetry._delivery.store import Rejection
from chat_telemetry._encoding import encode
from chat_telemetry._record import COLUMNS
from tests.loader.conftest import Log
from tests.planted import PLANTED, plant

REJECTED = Rejection(0, "ForeignKeyViolation (23503)", "no such user")


def letters(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "dead-letters.jsonl").read_text().splitlines()]


def test_a_letter_has_the_time_the_reason_and_the_unchanged_record(log: Log, tmp_path: Path) -> None:
    record = log.record(user_question="Größe?")
    DeadLetters(tmp_path / "new").add(encode(record), REJECTED)
    (letter,) = letters(tmp_path / "new")
    assert datetime.now(UTC) - datetime.fromisoformat(letter["rejected_at"]) < timedelta(minutes=1)
    assert letter["reason"] == "ForeignKeyViolation (23503): no such user"
    assert letter["record"] == dict(zip(COLUMNS, json.loads(encode(record)), strict=True))
    assert (tmp_path / "new" / "dead-letters.jsonl").stat().st_mode & 0o777 == 0o600


def test_many_threads_can_add_letters_at_the_same_time(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        lines = [b'{"n":%d}' % number for number in range(200)]
        list(pool.map(lambda line: DeadLetters(tmp_path).add(line, REJECTED), lines))
    assert sorted(letter["record"]["n"] for letter in letters(tmp_path)) == list(range(200))


def test_a_replay_sends_the_lines_and_those_rejected_again_become_letters_again(log: Log, tmp_path: Path) -> None:
    kept = DeadLetters(tmp_path)
    lines = [encode(log.record()), b"not JSON", encode(log.record()), b'{"n":2}', b"[1]"]
    for line in lines:
        kept.add(line, REJECTED)
    sent: list[bytes] = []

    def send(batch: list[bytes]) -> None:
        sent.extend(batch)
        if b"not JSON" in batch:
            kept.add(b"not JSON", REJECTED)

    kept.replay(2, send)
    assert sent == lines
    assert [letter["record"] for letter in letters(tmp_path)] == ["not JSON"]
    assert [path.name for path in tmp_path.iterdir()] == ["dead-letters.jsonl"]


def test_a_replay_that_failed_is_continued_by_the_next_one(tmp_path: Path) -> None:
    kept = DeadLetters(tmp_path)
    kept.add(b"[1]", REJECTED)

    def fail(batch: list[bytes]) -> None:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        kept.replay(2, fail)
    kept.add(b"[2]", REJECTED)
    sent: list[bytes] = []
    kept.replay(2, sent.extend)
    assert sorted(sent) == [b"[1]", b"[2]"]
    assert list(tmp_path.iterdir()) == []


def test_an_edited_file_may_lack_the_last_line_feed_and_hold_records_without_letters(log: Log, tmp_path: Path) -> None:
    record, bare = (json.dumps(dict(zip(COLUMNS, json.loads(encode(log.record())), strict=True))) for _ in range(2))
    letter = f'{{"rejected_at":"2026-11-23T08:00:00Z","reason":"r","record":{record}}}'
    (tmp_path / "dead-letters.jsonl").write_text(f"{letter}\n{bare}")
    sent: list[bytes] = []
    DeadLetters(tmp_path).replay(9, sent.extend)
    assert [json.loads(line) for line in sent] == [[*json.loads(text).values()] for text in (record, bare)]


def test_the_fingerprint_of_an_exported_row_is_not_sent(tmp_path: Path) -> None:
    (tmp_path / "dead-letters.jsonl").write_text('{"user_question":"How many?","sql_fingerprint":"f"}')
    sent: list[bytes] = []
    DeadLetters(tmp_path).replay(9, sent.extend)
    assert [json.loads(line) for line in sent] == [[None] * 5 + ["How many?"] + [None] * 20]


def test_a_record_with_a_misspelled_column_is_sent_unchanged_so_that_the_database_rejects_it(tmp_path: Path) -> None:
    (tmp_path / "dead-letters.jsonl").write_text('{"record":{"user_id":"u","user_qestion":"How many?"}}')
    sent: list[bytes] = []
    DeadLetters(tmp_path).replay(9, sent.extend)
    assert sent == [b'{"user_id":"u","user_qestion":"How many?"}']


def test_a_line_of_an_older_version_is_kept_by_column_and_replayed_with_nulls(tmp_path: Path) -> None:
    values = ["an id", "a user", None, None, "2026-11-23T08:00:00Z", "How many orders?"]
    kept = DeadLetters(tmp_path)
    kept.add(json.dumps(values).encode(), REJECTED)
    (letter,) = letters(tmp_path)
    assert letter["record"] == dict(zip(COLUMNS, values, strict=False))
    sent: list[bytes] = []
    kept.replay(9, sent.extend)
    assert [json.loads(line) for line in sent] == [values + [None] * (len(COLUMNS) - len(values))]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"[1]", id="one value"),
        pytest.param(b'["an id","a user",null,null,"2026-11-23T08:00:00Z"]', id="no question"),
        pytest.param(json.dumps(["x"] * 27).encode(), id="more values than columns"),
        pytest.param(b"7", id="a number"),
        pytest.param(b"{}", id="an object"),
    ],
)
def test_a_line_that_is_not_a_record_is_kept_unchanged(tmp_path: Path, line: bytes) -> None:
    kept = DeadLetters(tmp_path)
    kept.add(line, REJECTED)
    assert [letter["record"] for letter in letters(tmp_path)] == [json.loads(line)]


def test_a_torn_letter_is_sent_unchanged_and_does_not_end_the_replay(tmp_path: Path) -> None:
    kept = DeadLetters(tmp_path)
    kept.add(b"[1]", REJECTED)
    torn = [b'{"rejected_at":"2026-11-23T0', b'{"record":"\xff"}']
    with (tmp_path / "dead-letters.jsonl").open("ab") as file:
        file.writelines(line + b"\n" for line in torn)
    kept.add(b"[2]", REJECTED)
    sent: list[bytes] = []
    kept.replay(2, sent.extend)
    assert sent == [b"[1]", *torn, b"[2]"]


def test_a_letter_is_not_much_longer_than_a_mebibyte_of_damage(tmp_path: Path) -> None:
    kept = DeadLetters(tmp_path)
    kept.add(b"x" * 3_000_000, Rejection(0, "InvalidTextRepresentation (22P02)", "x" * 3_000_000))
    (letter,) = letters(tmp_path)
    assert letter["record"] == "x" * 2**20
    assert letter["reason"] == "InvalidTextRepresentation (22P02): " + "x" * 965


def test_a_replay_reads_letters_of_twice_the_longest_line_and_cuts_longer_ones(tmp_path: Path) -> None:
    longest = 2**20
    (tmp_path / "dead-letters.jsonl").write_bytes(b"\n".join([b"x" * 2 * longest, b"\0" * (2 * longest + 1), b"{}"]))
    sent: list[bytes] = []
    DeadLetters(tmp_path, max_line_bytes=longest).replay(9, sent.extend)
    assert sent == [b"x" * 2 * longest, b"\0" * CUT_BYTES, json.dumps([None] * len(COLUMNS)).replace(" ", "").encode()]


def test_in_a_directory_that_other_users_can_write_to_no_letter_is_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(PermissionError, match="other users can write to"):
        DeadLetters(tmp_path).add(b"[1]", REJECTED)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", PLANTED)
def test_a_letter_is_written_to_a_file_of_this_user_only(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "journal").mkdir(mode=0o700)
    target = plant(kind, tmp_path / "journal" / "dead-letters.jsonl", monkeypatch)
    monkeypatch.setattr(dead_letters, "create_directory", lambda directory: None)
    with pytest.raises(PermissionError, match=PLANTED[kind]):
        DeadLetters(tmp_path / "journal").add(b"[1]", REJECTED)
    assert target.read_text() == "private\n"
    assert len(list((tmp_path / "journal").iterdir())) == 2


def test_adding_waits_for_a_lock_that_another_process_holds_for_a_moment(tmp_path: Path) -> None:
    kept = DeadLetters(tmp_path)
    kept.add(b"[1]", REJECTED)
    descriptor = open_locked(tmp_path / "dead-letters.jsonl", os.O_RDWR)
    assert descriptor is not None
    release = threading.Timer(0.2, os.close, [descriptor])
    release.start()
    kept.add(b"[2]", REJECTED)
    release.join()
    assert [letter["record"] for letter in letters(tmp_path)] == [[1], [2]]


def test_a_file_that_another_process_replays_is_skipped(tmp_path: Path) -> None:
    kept = DeadLetters(tmp_path)
    kept.add(b"{}", REJECTED)
    descriptor = open_locked(tmp_path / "dead-letters.jsonl", os.O_RDWR)
    assert descriptor is not None
    kept.replay(9, lambda batch: pytest.fail("sent"))
    os.close(descriptor)


def test_a_rejected_record_becomes_a_letter_before_it_leaves_the_journal(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    invalid = log.record(user_id=uuid4())
    with log.client(journal_dir=tmp_path) as client:
        acknowledge = client._queue.acknowledge

        def acknowledge_after_the_letter(**counts: int) -> None:
            assert len(letters(tmp_path)) == client.stats().rejected + counts["rejected"]
            acknowledge(**counts)

        monkeypatch.setattr(client._queue, "acknowledge", acknowledge_after_the_letter)
        client.persist(invalid)
        client.persist(log.record())
        assert client.flush()
        assert client.stats() == Stats(accepted=2, stored=1, rejected=1)
    (letter,) = letters(tmp_path)
    assert letter["record"]["log_id"] == str(invalid.log_id)
    assert "ForeignKeyViolation (23503)" in letter["reason"]


def test_a_letter_that_cannot_be_written_is_counted_and_delivery_continues(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(dead_letters, "LOCK_TRIES", 2)
    holder = DeadLetters(tmp_path)._open()
    with log.client(journal_dir=tmp_path) as client:
        client.persist(log.record(user_id=uuid4()))
        client.persist(log.record())
        assert client.flush()
        assert client.stats() == Stats(accepted=2, stored=1, rejected=1, journal_failures=1)
    os.close(holder)
    assert caplog.messages[-1] == (
        "a rejected record could not be kept as a dead letter: Resource temporarily unavailable"
    )
