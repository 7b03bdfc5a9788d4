from __future__ import annotations

import fcntl
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from chat_telemetry._delivery.locked_files import open_locked
from chat_telemetry._delivery.segment import Segment


@pytest.fixture
def segment(tmp_path: Path) -> Iterator[Segment]:
    segment = Segment.create(tmp_path / "new" / "journal")
    yield segment
    segment.release()


def test_only_the_owner_can_read_a_segment_and_its_directory(segment: Segment) -> None:
    assert segment.path.stat().st_mode & 0o777 == 0o600
    assert segment.path.parent.stat().st_mode & 0o777 == 0o700


def test_a_file_that_another_process_has_locked_leaves_no_descriptor_open(segment: Segment) -> None:
    lowest_free = os.dup(0)
    os.close(lowest_free)
    assert open_locked(segment.path, os.O_RDWR) is None
    assert os.dup(0) == lowest_free
    os.close(lowest_free)


def test_lines_are_read_in_order_until_they_are_acknowledged(segment: Segment) -> None:
    for line in (b"one", b"two", b"three"):
        segment.append(line)
    assert segment.read(2) == [b"one", b"two"]
    assert segment.read(9) == [b"one", b"two", b"three"]
    segment.acknowledge([b"one", b"two"])
    assert segment.read(9) == [b"three"]
    segment.acknowledge([b"three"])
    assert segment.read(9) == []
    assert segment.is_finished


def test_a_read_returns_about_as_many_bytes_as_asked_for_but_at_least_one_line(segment: Segment) -> None:
    for line in (b"x" * 5000, b"y" * 20, b"z" * 20, b"w" * 9000):
        segment.append(line)
    assert segment.read(1, 10) == [b"x" * 5000]
    segment.acknowledge([b"x" * 5000])
    assert segment.read(9, 50) == [b"y" * 20, b"z" * 20]
    assert segment.read(9, 30) == [b"y" * 20]
    segment.acknowledge([b"y" * 20, b"z" * 20])
    assert segment.read(9, 30) == [b"w" * 9000]


def test_a_cleared_segment_is_an_empty_file_that_accepts_lines_again(segment: Segment) -> None:
    segment.append(b"one")
    segment.acknowledge([b"one"])
    segment.clear()
    assert segment.path.stat().st_size == 0
    segment.append(b"two")
    assert segment.read(9) == [b"two"]


def test_a_line_that_does_not_fit_on_the_disk_leaves_no_part_of_it(segment: Segment) -> None:
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    segment.append(b"one")
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, unlimited[1]))
    try:
        for _ in range(2):
            with pytest.raises(OSError, match="No space left"):
                segment.append(b"0123456789")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert segment.path.read_bytes() == b"one\n"
    segment.append(b"two")
    assert segment.read(9) == [b"one", b"two"]


def test_a_file_has_one_owner_until_it_is_released(segment: Segment) -> None:
    assert open_locked(segment.path, os.O_RDWR) is None
    other = Segment.create(segment.path.parent)
    other.release()
    descriptor = open_locked(other.path, os.O_RDWR)
    assert descriptor is not None
    os.close(descriptor)


def test_deleting_a_file_that_somebody_has_deleted_closes_it(tmp_path: Path) -> None:
    segment = Segment.create(tmp_path)
    descriptor = segment._descriptor
    segment.path.unlink()
    segment.delete()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_deleting_a_file_that_somebody_has_replaced_keeps_the_other_file(tmp_path: Path) -> None:
    segment = Segment.create(tmp_path)
    segment.path.rename(tmp_path / "moved")
    segment.path.write_bytes(b"another\n")
    segment.delete()
    assert segment.path.read_bytes() == b"another\n"


def test_a_file_whose_directory_cannot_be_searched_at_the_moment_is_not_lost(
    segment: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> os.stat_result:
        raise PermissionError

    assert not segment.is_lost
    monkeypatch.setattr(Path, "lstat", fail)
    assert not segment.is_lost


@pytest.mark.parametrize("change", ["deleted", "replaced"])
def test_a_file_that_was_deleted_or_replaced_before_it_was_locked_is_not_returned(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal-1.jsonl"
    path.touch()
    flock = fcntl.flock

    def change_first(descriptor: int, operation: int) -> None:
        path.unlink()
        if change == "replaced":
            path.touch()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", change_first)
    assert open_locked(path, os.O_RDWR) is None


def test_a_file_system_without_locks_raises_and_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int, operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", fail)
    with pytest.raises(OSError, match="No locks"):
        Segment.create(tmp_path)
    assert list(tmp_path.iterdir()) == []
