from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import pytest

from chat_telemetry import Stats
from chat_telemetry._delivery import recovery
from chat_telemetry._delivery.recovery import Recovery
from chat_telemetry._delivery.segment import Segment
from chat_telemetry._encoding import encode
from chat_telemetry._errors import DatabaseUnavailable
from tests.loader.conftest import Log, adds_up, wait_until


def leave(directory: Path, *lines: bytes) -> Path:
    """Write the journal of a process that was killed."""
    segment = Segment.create(directory)
    for line in lines:
        segment.append(line)
    segment.release()
    return segment.path


class Sent:
    """Collects the lines that a recovery sends."""

    def __init__(self, directory: Path) -> None:
        self.lines: list[bytes] = []
        self.unreadable: list[Path] = []
        self.recovery = Recovery(directory, 2, self.lines.extend, lambda path, _: self.unreadable.append(path))

    def all(self) -> list[bytes]:
        while self.recovery.process_one_batch():
            pass
        return self.lines


def test_every_line_of_dead_processes_is_sent_and_their_files_are_deleted(tmp_path: Path) -> None:
    leave(tmp_path, b"1", b"2", b"3")
    leave(tmp_path)
    leave(tmp_path, b"4")
    (tmp_path / "notes.txt").write_text("not a journal")
    assert Sent(tmp_path).all() == [b"1", b"2", b"3", b"4"]
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_the_journal_of_a_running_process_is_skipped(tmp_path: Path) -> None:
    alive = Segment.create(tmp_path)
    alive.append(b"1")
    assert Sent(tmp_path).all() == []
    alive.release()
    assert Sent(tmp_path).all() == [b"1"]


def test_each_journal_is_recovered_by_one_of_two_concurrent_recoveries(tmp_path: Path) -> None:
    for number in range(6):
        leave(tmp_path, b"%d a" % number, b"%d b" % number, b"%d c" % number)
    first, second = Sent(tmp_path), Sent(tmp_path)
    while first.recovery.process_one_batch() | second.recovery.process_one_batch():
        pass
    assert sorted(first.lines + second.lines) == [b"%d %c" % (n, c) for n in range(6) for c in b"abc"]
    assert first.lines
    assert second.lines


def test_a_recovery_that_ended_early_is_repeated_by_the_next_one(tmp_path: Path) -> None:
    leave(tmp_path, b"1", b"2", b"3")
    first = Sent(tmp_path)
    first.recovery.process_one_batch()
    assert Sent(tmp_path).all() == [], "the first one has locked it"
    first.recovery.close()
    assert Sent(tmp_path).all() == [b"1", b"2", b"3"]


def test_lines_that_could_not_be_sent_are_sent_by_the_next_call(tmp_path: Path) -> None:
    leave(tmp_path, b"1")
    sent: list[bytes] = []
    faults = [DatabaseUnavailable("down"), ConnectionResetError()]

    def send(lines: list[bytes]) -> None:
        if faults:
            raise faults.pop()
        sent.extend(lines)

    trying = Recovery(tmp_path, 2, send, lambda *_: None)
    for _ in range(2):
        with pytest.raises((DatabaseUnavailable, ConnectionResetError)):
            trying.process_one_batch()
    while trying.process_one_batch():
        pass
    assert sent == [b"1"]
    assert trying.unreadable == set()


def test_a_torn_last_line_is_sent_so_that_the_database_rejects_it(tmp_path: Path) -> None:
    path = leave(tmp_path, b"1", b"2")
    with path.open("ab") as file:
        file.write(b'{"log_id": "01')
    assert Sent(tmp_path).all() == [b"1", b"2", b'{"log_id": "01']
    assert list(tmp_path.iterdir()) == []


def test_a_journal_that_cannot_be_opened_or_read_is_reported_once_and_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "journal-0.jsonl"
    directory.mkdir()
    damaged = leave(tmp_path, b"damaged")
    leave(tmp_path, b"1")
    pread = os.pread

    def read(descriptor: int, size: int, offset: int) -> bytes:
        if os.path.samestat(os.fstat(descriptor), damaged.stat()):
            raise OSError(5, "Input/output error")
        return pread(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", read)
    sent = Sent(tmp_path)
    assert sent.all() == [b"1"]
    assert sent.all() == [b"1"]
    assert sent.unreadable == [directory, damaged]
    assert damaged.read_bytes() == b"damaged\n"


def test_a_client_recovers_journals_after_its_first_record_and_its_counters_add_up(log: Log, tmp_path: Path) -> None:
    dead = [log.record() for _ in range(1200)]
    stored = log.record()
    with log.client() as client:
        client.persist(stored)
    leave(tmp_path, *map(encode, dead[:700]), encode(stored))
    leave(tmp_path, *map(encode, dead[700:]))
    with log.client(journal_dir=tmp_path) as client:
        record = log.record()
        assert client.persist(record)
        wait_until(lambda: client.stats().recovered == 1201)
        assert adds_up(client)
        assert client.stats() == Stats(accepted=1, recovered=1201, stored=1201, duplicates=1)
    assert sorted(log.stored_ids()) == sorted(r.log_id for r in [*dead, stored, record])
    assert list(tmp_path.iterdir()) == []


def test_a_client_looks_for_journals_again_after_a_while(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(recovery, "LOOK_EVERY_S", 0.05)
    (tmp_path / "journal-0.jsonl").mkdir()
    with log.client(journal_dir=tmp_path) as client:
        client.persist(log.record())
        assert client.flush()
        leave(tmp_path, encode(log.record()))
        wait_until(lambda: client.persist(log.record()) and client.stats().recovered == 1)
    assert caplog.messages == [f"a journal cannot be recovered: {tmp_path}/journal-0.jsonl: Is a directory"]


def test_a_line_that_is_not_a_record_becomes_a_dead_letter(
    log: Log, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    torn = b'{"log_id": "01'
    invalid = [b"\0" * 4096, b"\xff\xfe", b"[]", b"1", b"\\u0000", torn]
    good = log.record()
    leave(tmp_path, *invalid[:3], encode(good), *invalid[3:])
    with caplog.at_level(logging.DEBUG), log.client(journal_dir=tmp_path) as client:
        client.persist(log.record())
        wait_until(lambda: client.stats().recovered == 7)
        assert client.stats().rejected == len(invalid)
    assert good.log_id in log.stored_ids()
    letters = [json.loads(line) for line in (tmp_path / "dead-letters.jsonl").read_text().splitlines()]
    assert [letter["record"] for letter in letters][-1] == torn.decode()
    assert len(letters) == len(invalid)
    assert all(letter["reason"] for letter in letters)


def test_a_flush_does_not_wait_for_recovery(log: Log, tmp_path: Path) -> None:
    leave(tmp_path, *(encode(log.record()) for _ in range(3000)))
    with log.client(journal_dir=tmp_path, batch_records=10) as client:
        client.persist(log.record())
        assert client.flush()
        assert client.stats().recovered < 3000
        client.persist(log.record())
        assert client.flush()
        assert client.stats().recovered < 3000
