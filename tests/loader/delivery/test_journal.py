from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chat_telemetry._delivery import journal as journal_module
from chat_telemetry._delivery import queue as queue_module
from chat_telemetry._delivery.journal import Journal
from chat_telemetry._delivery.locked_files import open_locked
from chat_telemetry._delivery.queue import LineQueue
from chat_telemetry._delivery.segment import Segment
from chat_telemetry._settings import Settings
from chat_telemetry._stats import Stats
from tests.loader.delivery.conftest import acknowledge_all, on_disk, queue

pytestmark = pytest.mark.usefixtures("copied_segments")


def on_disk_in(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines()


def test_a_line_is_on_disk_when_put_returns_and_gone_when_it_is_acknowledged(tmp_path: Path) -> None:
    lines = queue(tmp_path)
    assert lines.put(b"1")
    assert lines.put(b"2")
    assert on_disk(tmp_path) == [b"1", b"2"]
    assert lines.take() == [b"1", b"2"]
    assert lines.take() == [b"1", b"2"], "lines that were not acknowledged are returned again"
    lines.acknowledge(stored=1, duplicates=1, rejected=0)
    assert on_disk(tmp_path) == []
    assert lines.stats() == Stats(accepted=2, stored=1, duplicates=1)


def test_no_file_is_created_before_the_first_line(tmp_path: Path) -> None:
    lines = queue(tmp_path / "journal")
    lines.close(0)
    lines.close_journal()
    assert list(tmp_path.iterdir()) == []


def test_the_journal_is_not_limited_by_memory_bounds(tmp_path: Path) -> None:
    lines = queue(tmp_path, max_queue_records=2, batch_records=10)
    assert all(lines.put(b"%d" % number) for number in range(100))
    assert acknowledge_all(lines) == [b"%d" % number for number in range(100)]


def test_segments_have_a_limited_size_and_are_deleted_when_all_their_lines_are_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "SEGMENT_BYTES", 100)
    lines = queue(tmp_path, batch_records=3)
    for number in range(60):
        lines.put(b"line %02d" % number)
    files = len(list(tmp_path.iterdir()))
    assert files == 5
    while files:
        batch = lines.take() or []
        lines.acknowledge(stored=len(batch), duplicates=0, rejected=0)
        if not lines.stats().pending:
            break
        files = len(list(tmp_path.iterdir()))
    assert [path.stat().st_size for path in tmp_path.iterdir()] == [0]


def test_a_segment_that_cannot_be_truncated_is_replaced_by_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int, length: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "ftruncate", fail)
    lines = queue(tmp_path)
    for line in (b"1", b"2"):
        lines.put(line)
        assert acknowledge_all(lines) == [line]
    assert on_disk(tmp_path) == []


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_line_that_a_finalizer_puts_while_the_segment_is_cleared_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    lines = queue(tmp_path)
    lines.put(b"first")
    is_finished, ftruncate = Segment.is_finished, os.ftruncate
    finalizer = iter([b"the finalizer's, which is longer"])

    def check_first(segment: Segment) -> bool:
        was_finished: bool = is_finished.__get__(segment)
        for line in finalizer:
            lines.put(line)
        return was_finished

    def truncate_first(descriptor: int, length: int) -> None:
        ftruncate(descriptor, length)
        for line in finalizer:
            lines.put(line)

    if moment == "before":
        monkeypatch.setattr(Segment, "is_finished", property(check_first))
    else:
        monkeypatch.setattr(os, "ftruncate", truncate_first)
    assert acknowledge_all(lines) == [b"first", b"the finalizer's, which is longer"]
    for line in (b"next", b"and next"):
        lines.put(line)
    assert acknowledge_all(lines) == [b"next", b"and next"]
    assert on_disk(tmp_path) == []
    assert lines.stats() == Stats(accepted=4, stored=4)


def test_lines_put_while_a_batch_is_being_sent_stay(tmp_path: Path) -> None:
    lines = queue(tmp_path)
    lines.put(b"1")
    assert lines.take() == [b"1"]
    lines.put(b"2")
    lines.acknowledge(stored=1, duplicates=0, rejected=0)
    assert lines.take() == [b"2"]


def test_failed_journal_writes_are_counted_and_their_lines_go_to_memory(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("a file where the directory should be")
    lines = queue(tmp_path / "journal", max_queue_records=2)
    assert [lines.put(line) for line in (b"1", b"2", b"3")] == [True, True, False]
    assert lines.stats() == Stats(accepted=2, pending=2, dropped=1, journal_failures=3)
    assert (lines.take_journal_error(), lines.take_journal_error()) == ("File exists", None)
    assert lines.take() == [b"1", b"2"]
    lines.acknowledge(stored=2, duplicates=0, rejected=0)
    (tmp_path / "journal").unlink()
    assert lines.put(b"4")
    assert on_disk(tmp_path / "journal") == [b"4"]
    assert acknowledge_all(lines) == [b"4"]


def test_the_counters_of_lines_in_memory_and_on_disk_add_up(tmp_path: Path) -> None:
    directory = tmp_path / "journal"
    lines = queue(directory)
    directory.write_text("")
    lines.put(b"in memory")
    directory.unlink()
    lines.put(b"on disk")
    assert lines.stats() == Stats(accepted=2, pending=2, journal_failures=1)
    assert lines.take() == [b"in memory"]
    assert not lines.close(0)
    assert lines.stats() == Stats(accepted=2, discarded_at_exit=1, left_in_journal=1, journal_failures=1)
    lines.acknowledge(stored=1, duplicates=0, rejected=0)
    assert lines.stats() == Stats(accepted=2, stored=1, left_in_journal=1, journal_failures=1)
    assert lines.take() is None


@pytest.mark.parametrize("is_stored", [True, False])
def test_lines_in_the_journal_at_close_are_left_there_and_not_discarded(tmp_path: Path, is_stored: bool) -> None:
    lines = queue(tmp_path, batch_records=2)
    for line in (b"1", b"2", b"3"):
        lines.put(line)
    lines.take()
    assert not lines.close(0)
    assert lines.stats() == Stats(accepted=3, left_in_journal=3)
    if is_stored:
        lines.acknowledge(stored=2, duplicates=0, rejected=0)
        assert lines.stats() == Stats(accepted=3, left_in_journal=1, stored=2)
    else:
        lines.pause(60)
        assert lines.stats() == Stats(accepted=3, left_in_journal=3)
    assert lines.take() is None
    assert lines.flush(float("inf")) is False
    lines.close_journal()
    (path,) = tmp_path.iterdir()
    descriptor = open_locked(path, os.O_RDWR)
    assert descriptor is not None, "another process can take it over"
    os.close(descriptor)


def test_a_closed_journal_leaves_no_empty_file(tmp_path: Path) -> None:
    lines = queue(tmp_path)
    lines.put(b"1")
    assert acknowledge_all(lines) == [b"1"]
    lines.close(0)
    lines.close_journal()
    assert list(tmp_path.iterdir()) == []


def test_a_reset_leaves_the_file_and_its_lock_to_the_parent(tmp_path: Path) -> None:
    """In one process, closing the descriptor releases the lock. The fault tests show that a parent keeps it."""
    lines = queue(tmp_path)
    lines.put(b"the parent's")
    lines.reset()
    assert lines.stats() == Stats()
    lines.put(b"the child's")
    assert sorted(on_disk(tmp_path)) == [b"the child's", b"the parent's"]
    assert len(list(tmp_path.iterdir())) == 2
    assert acknowledge_all(lines) == [b"the child's"]


def test_delivery_that_keeps_up_reads_nothing_from_disk_and_slow_delivery_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "COPIED_SEGMENTS", 2)
    monkeypatch.setattr(journal_module, "SEGMENT_BYTES", 100)
    reads: list[int] = []
    pread = os.pread

    def count_and_read(descriptor: int, size: int, offset: int) -> bytes:
        reads.append(size)
        return pread(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", count_and_read)
    lines = queue(tmp_path, batch_records=3)
    numbers = iter(range(1000))

    def put(count: int) -> list[bytes]:
        new_lines = [b"line %03d" % next(numbers) for _ in range(count)]
        assert all(lines.put(line) for line in new_lines)
        return new_lines

    for count in (2, 20, 2, 20):  # a segment has 12
        assert put(count) == acknowledge_all(lines)
    assert reads == []
    assert put(60) == acknowledge_all(lines)
    assert reads
    del reads[:]
    behind = put(30)
    batch = lines.take() or []
    lines.acknowledge(stored=len(batch), duplicates=0, rejected=0)
    assert batch == behind[:3]
    behind += put(30)
    assert acknowledge_all(lines) == behind[3:]
    del reads[:]
    assert put(20) == acknowledge_all(lines)
    assert reads == [], "it keeps up again"


def test_chat_code_does_not_wait_for_a_slow_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "COPIED_SEGMENTS", 0)
    lines = queue(tmp_path)
    lines.put(b"1")
    reading, may_end = threading.Event(), threading.Event()
    pread = os.pread

    def read_slowly(descriptor: int, size: int, offset: int) -> bytes:
        reading.set()
        may_end.wait(20)
        return pread(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", read_slowly)
    taker = threading.Thread(target=lines.take)
    taker.start()
    assert reading.wait(20)
    with ThreadPoolExecutor(1) as chat_code:
        try:
            assert chat_code.submit(lines.put, b"2").result(timeout=10)
            assert chat_code.submit(lines.stats).result(timeout=10).pending == 2
        finally:
            may_end.set()
    taker.join(20)


def test_take_without_waiting_returns_the_lines_that_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_module, "IDLE_S", 3600)
    lines = queue(tmp_path, max_batch_age=3600)
    assert lines.take(wait=False) == []
    lines.put(b"1")
    assert lines.take(wait=False) == [b"1"]
    lines.acknowledge(stored=1, duplicates=0, rejected=0)
    lines.stop_accepting()
    assert lines.take(wait=False) is None


def test_a_line_that_a_recovery_would_cut_goes_to_memory(tmp_path: Path) -> None:
    lines = LineQueue(Settings(max_batch_age=0.001), Journal(tmp_path, max_line_bytes=10))
    assert lines.put(b"x" * 10)
    assert lines.put(b"y" * 11)
    assert on_disk(tmp_path) == [b"x" * 10]
    assert lines.stats() == Stats(accepted=2, pending=2, journal_failures=1)
    assert lines.take_journal_error() == "a line is longer than 10 bytes"
    assert acknowledge_all(lines) == [b"y" * 11, b"x" * 10]
