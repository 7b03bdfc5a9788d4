from __future__ import annotations

import json
import logging
import os
import tracemalloc
from pathlib import Path
from uuid import UUID

import pytest

from chat_telemetry import Stats
from chat_telemetry._delivery import recovery
from chat_telemetry._delivery.recovery import Recovery
from chat_telemetry._delivery.segment import CUT_BYTES, Segment
from chat_telemetry._encoding import encode
from chat_telemetry._errors import DatabaseUnavailable
from tests.loader.conftest import Log, adds_up, wait_until
from tests.planted import PLANTED, plant

MIB = 2**20
FIRST_NAME = f"journal-{UUID(int=0)}.jsonl"


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
    directory = tmp_path / FIRST_NAME
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


@pytest.mark.parametrize("kind", PLANTED)
def test_what_is_not_a_journal_of_this_user_is_reported_and_neither_read_nor_deleted(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(tmp_path, b"1")
    planted = tmp_path / FIRST_NAME
    target = plant(kind, planted, monkeypatch)
    monkeypatch.setattr(recovery, "check_directory", lambda directory: None)  # it was another user's before
    sent = Sent(tmp_path)
    assert sent.all() == ([] if kind == "another user's" else [b"1"])
    assert planted in sent.unreadable
    assert os.path.lexists(planted)
    assert target.read_text() == "private\n"


@pytest.mark.parametrize(
    "name",
    [
        "journal-0.jsonl",
        f"journal-{UUID(int=2**127)}.jsonl~",
        f"journal-{UUID(int=2**127)}.jsonl.gz",
        f"my-journal-{UUID(int=2**127)}.jsonl",
        f"journal-{UUID(int=2**127).hex}.jsonl",
    ],
)
def test_a_file_with_another_name_is_ignored(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("1\n")
    sent = Sent(tmp_path)
    assert (sent.all(), sent.unreadable) == ([], [])
    assert (tmp_path / name).read_text() == "1\n"


@pytest.mark.parametrize("ending", [b"", b"\n", b"\n2\n"])
@pytest.mark.parametrize("byte", [b"\0", b"x"])
def test_a_long_piece_without_a_line_feed_is_cut_and_takes_little_memory(
    tmp_path: Path, byte: bytes, ending: bytes
) -> None:
    path = leave(tmp_path, b"1")
    with path.open("ab") as file:
        file.write(byte * (16 * MIB))
        file.write(ending)
    sent = Sent(tmp_path)
    tracemalloc.start()
    try:
        lines = sent.all()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert lines == [b"1", byte * CUT_BYTES, *([b"2"] if ending == b"\n2\n" else [])]
    assert peak < 10 * MIB
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", [b"", b"\n"])
def test_a_line_of_the_greatest_length_is_whole_and_a_longer_one_is_cut(tmp_path: Path, ending: bytes) -> None:
    longest = 3 * MIB
    for extra in (0, 1):
        leave(tmp_path, b"1").write_bytes(b"x" * (longest + extra) + ending)
    sent: list[bytes] = []
    recovering = Recovery(tmp_path, 2, sent.extend, lambda *_: None, max_line_bytes=longest)
    while recovering.process_one_batch():
        pass
    assert [len(line) for line in sent] == [longest, CUT_BYTES]


def test_a_cut_line_that_could_not_be_sent_is_sent_by_the_next_call(tmp_path: Path) -> None:
    leave(tmp_path).write_bytes(b"x" * (3 * CUT_BYTES) + b"\n2\n")
    sent: list[bytes] = []
    faults = [DatabaseUnavailable("down")]

    def send(lines: list[bytes]) -> None:
        if faults:
            raise faults.pop()
        sent.extend(lines)

    recovering = Recovery(tmp_path, 2, send, lambda *_: None, max_line_bytes=CUT_BYTES)
    with pytest.raises(DatabaseUnavailable):
        recovering.process_one_batch()
    while recovering.process_one_batch():
        pass
    assert sent == [b"x" * CUT_BYTES, b"2"]


def test_a_client_recovers_journals_after_its_first_record_and_its_counters_add_up(log: Log, tmp_path: Path) -> None:
    dead = [log.record() for _ in range(1200)]
    stored = log.record()
    with log.client() as client:
        client.persist(stored)
    journals = [
        leave(tmp_path, *map(encode, dead[:700]), encode(stored)),
        leave(tmp_path, *map(encode, dead[700:])),
    ]
    with log.client(journal_dir=tmp_path) as client:
        record = log.record()
        assert client.persist(record)
        wait_until(lambda: not any(journal.exists() for journal in journals))
        assert adds_up(client)
        assert client.stats() == Stats(accepted=1, recovered=1201, stored=1201, duplicates=1)
    assert sorted(log.stored_ids()) == sorted(r.log_id for r in [*dead, stored, record])
    assert list(tmp_path.iterdir()) == []


def test_a_client_looks_for_journals_again_after_a_while(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(recovery, "LOOK_EVERY_S", 0.05)
    (tmp_path / FIRST_NAME).mkdir()
    with log.client(journal_dir=tmp_path) as client:
        client.persist(log.record())
        assert client.flush()
        leave(tmp_path, encode(log.record()))
        wait_until(lambda: client.persist(log.record()) and client.stats().recovered == 1)
    assert caplog.messages == [f"a journal cannot be recovered: {tmp_path}/{FIRST_NAME}: Is a directory"]


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


def test_nuls_that_a_power_cut_left_become_one_short_dead_letter(log: Log, tmp_path: Path) -> None:
    before, after = log.record(), log.record()
    path = leave(tmp_path, encode(before))
    with path.open("ab") as file:
        file.write(b"\0" * (16 * MIB) + b"\n" + encode(after) + b"\n")
    with log.client(journal_dir=tmp_path) as client:
        client.persist(log.record())
        wait_until(lambda: not path.exists())
        assert client.stats() == Stats(accepted=1, recovered=3, stored=3, rejected=1)
    assert {before.log_id, after.log_id} <= {*log.stored_ids()}
    assert [path.name for path in tmp_path.iterdir()] == ["dead-letters.jsonl"]
    assert (tmp_path / "dead-letters.jsonl").stat().st_size < MIB


def test_in_a_directory_that_other_users_can_write_to_nothing_is_read_or_written(
    log: Log, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    forged = leave(tmp_path, encode(log.record()))
    tmp_path.chmod(0o777)
    with log.client(journal_dir=tmp_path) as client:
        for _ in range(2):
            assert client.persist(log.record())
            assert client.flush()
        assert client.stats() == Stats(accepted=2, stored=2, journal_failures=2)
        assert list(tmp_path.iterdir()) == [forged]
        assert caplog.messages == [
            f"the journal cannot be written (other users can write to {tmp_path}: run `chmod 700 {tmp_path}`): "
            "records are in memory only"
        ]
        tmp_path.chmod(0o700)
        assert client.persist(log.record())
        assert client.stats().journal_failures == 2
        assert len(list(tmp_path.iterdir())) == 2


def test_the_directory_may_be_a_symbolic_link_which_is_read_once(
    log: Log, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "volume").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("volume")
    with log.client(journal_dir=tmp_path / "link") as client:
        assert client.persist(log.record())
        (tmp_path / "link").unlink()
        (tmp_path / "link").symlink_to("elsewhere")
        assert client.persist(log.record())
        assert len(list((tmp_path / "volume").iterdir())) == 1
        assert client.flush()
    assert client.stats() == Stats(accepted=2, stored=2)
    assert caplog.messages == []


def test_a_flush_does_not_wait_for_recovery(log: Log, tmp_path: Path) -> None:
    leave(tmp_path, *(encode(log.record()) for _ in range(3000)))
    with log.client(journal_dir=tmp_path, batch_records=10) as client:
        client.persist(log.record())
        assert client.flush()
        assert client.stats().recovered < 3000
        client.persist(log.record())
        assert client.flush()
        assert client.stats().recovered < 3000
