"""The files of a running process are deleted or moved: by a cleaner of temporary files, an operator, a lost volume."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from chat_telemetry import TelemetryClient
from chat_telemetry._delivery import journal as journal_module
from chat_telemetry._delivery import segment as segment_module
from chat_telemetry._delivery.recovery import Recovery
from chat_telemetry._stats import Stats
from tests.loader.conftest import adds_up, record, wait_until
from tests.loader.delivery.conftest import acknowledge_all, on_disk, queue

pytestmark = pytest.mark.usefixtures("copied_segments")

LOSSES = ["deleted", "moved", "restored from a copy"]
REWRITTEN = "files of the journal were deleted or moved while in use: their records were written again"
NO_SERVER = "host=127.0.0.1 port=1"


def remove(directory: Path) -> None:
    """Delete the directory at once, because a process can write new files into it meanwhile."""
    shutil.rmtree(directory.rename(directory.with_name("removed")))


def lose(directory: Path, how: str) -> None:
    """What an operator or a cleaner of temporary files does to the directory of a running process."""
    if how == "restored from a copy":
        shutil.copytree(directory, directory.with_name("copy"))
    if how == "moved":
        directory.rename(directory.with_name("moved"))
    else:
        remove(directory)
    if how == "restored from a copy":
        directory.with_name("copy").rename(directory)


def left_for_others(directory: Path) -> list[bytes]:
    """What a recovery finds in the directory."""
    found: list[bytes] = []
    recovery = Recovery(directory, 100, found.extend, lambda *_: None)
    while recovery.process_one_batch():
        pass
    return found


@pytest.mark.parametrize("how", LOSSES)
def test_lost_files_are_rewritten_and_their_lines_delivered_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(journal_module, "SEGMENT_BYTES", 100)
    directory = tmp_path / "journal"
    lines = queue(directory, batch_records=5)
    before = [b"line %02d" % number for number in range(42)]  # in four segments
    assert all(lines.put(line) for line in before)
    acknowledged = lines.take() or []
    lines.acknowledge(stored=5, duplicates=0, rejected=0)
    assert lines.rewrite_lost_journal() is None
    names = {path.name for path in directory.iterdir()}
    lose(directory, how)
    under_way = lines.take() or []
    assert lines.rewrite_lost_journal() == "their records were written again"
    assert lines.rewrite_lost_journal() is None
    rewritten = [path for path in directory.iterdir() if path.name not in names]
    assert sorted(line for path in rewritten for line in path.read_bytes().splitlines()) == before
    assert lines.put(b"line 42")
    lines.acknowledge(stored=len(under_way), duplicates=0, rejected=0)
    assert acknowledged + under_way + acknowledge_all(lines) == [*before, b"line 42"]
    assert not any(path.stat().st_size for path in rewritten if path.exists())


def test_a_moved_file_is_emptied_when_its_lines_are_rewritten(tmp_path: Path) -> None:
    directory = tmp_path / "journal"
    lines = queue(directory)
    lines.put(b"1")
    lose(directory, "moved")
    assert lines.rewrite_lost_journal()
    assert on_disk(tmp_path / "moved") == []
    assert on_disk(directory) == [b"1"]


def test_a_lost_file_without_lines_is_replaced_by_a_new_one(tmp_path: Path) -> None:
    directory = tmp_path / "journal"
    lines = queue(directory)
    lines.put(b"1")
    assert acknowledge_all(lines) == [b"1"]
    lose(directory, "deleted")
    assert lines.rewrite_lost_journal()
    for line in (b"2", b"3"):
        assert lines.put(line)
        assert on_disk(directory) == [line]
        assert acknowledge_all(lines) == [line]
    lines.close(0)
    lines.close_journal()
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize("how", LOSSES)
def test_lines_of_files_that_are_lost_just_before_the_close_are_left_in_new_ones(tmp_path: Path, how: str) -> None:
    directory = tmp_path / "journal"
    lines = queue(directory)
    for line in (b"1", b"2", b"3"):
        lines.put(line)
    lose(directory, how)
    assert not lines.close(0)
    assert lines.stats() == Stats(accepted=3, left_in_journal=3)
    lines.close_journal()
    assert sorted({*left_for_others(directory)}) == [b"1", b"2", b"3"]


@pytest.mark.parametrize("is_stored", [True, False])
def test_lines_that_cannot_be_rewritten_are_delivered_or_counted_as_discarded(tmp_path: Path, is_stored: bool) -> None:
    directory = tmp_path / "journal"
    lines = queue(directory, batch_records=2)
    for line in (b"1", b"2", b"3", b"4", b"5"):
        lines.put(line)
    lose(directory, "deleted")
    directory.write_text("a file where the directory should be")
    assert lines.rewrite_lost_journal() == (
        "they cannot be written again (File exists), so their records are lost if this process ends"
    )
    assert lines.take() == [b"1", b"2"]
    lines.acknowledge(stored=2, duplicates=0, rejected=0)
    assert lines.take() == [b"3", b"4"]
    assert not lines.close(0)
    assert lines.stats() == Stats(accepted=5, stored=2, discarded_at_exit=3)
    if is_stored:
        lines.acknowledge(stored=2, duplicates=0, rejected=0)
        assert lines.stats() == Stats(accepted=5, stored=4, discarded_at_exit=1)
    else:
        lines.pause(60)
        assert lines.stats() == Stats(accepted=5, stored=2, discarded_at_exit=3)
    assert lines.take() is None
    lines.close_journal()
    assert directory.read_text() == "a file where the directory should be"


def test_a_failed_rewrite_leaves_no_file_and_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tmp_path / "journal"
    lines = queue(directory)
    lines.put(b"1")
    lose(directory, "deleted")
    with monkeypatch.context() as full_disk:
        full_disk.setattr(segment_module, "append_whole", fail_to_append)
        warning = lines.rewrite_lost_journal()
        assert warning
        assert "No space left on device" in warning
        assert on_disk(directory) == []
    assert lines.rewrite_lost_journal() == "their records were written again"
    assert on_disk(directory) == [b"1"]
    assert acknowledge_all(lines) == [b"1"]


def test_a_client_rewrites_its_journal_while_the_database_is_down(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = tmp_path / "journal"
    client = TelemetryClient(NO_SERVER, journal_dir=directory, max_batch_age=0.02)
    try:
        assert all(client.persist(record()) for _ in range(10))
        wait_until(lambda: any("cannot connect" in message for message in caplog.messages))
        remove(directory)
        assert client.persist(record())
        wait_until(lambda: REWRITTEN in caplog.messages)
        assert len(on_disk(directory)) == 11
        assert client.persist(record())
        assert len(on_disk(directory)) == 12
    finally:
        client.close(0)
    wait_until(lambda: not client.stats().pending)
    assert client.stats() == Stats(accepted=12, left_in_journal=12)


@pytest.mark.parametrize("has_room", [True, False])
def test_a_client_counts_what_it_leaves_on_disk_and_what_is_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, has_room: bool
) -> None:
    directory = tmp_path / "journal"
    client = TelemetryClient(NO_SERVER, journal_dir=directory, max_batch_age=60)
    assert all(client.persist(record()) for _ in range(10))
    remove(directory)
    if not has_room:
        directory.write_text("a file where the directory should be")
    assert not client.close(0.2)
    wait_until(lambda: not client.stats().pending)
    assert adds_up(client)
    assert client.stats() == Stats(accepted=10, **{"left_in_journal" if has_room else "discarded_at_exit": 10})
    assert any(message.startswith("closed before everything was delivered") for message in caplog.messages)
    if has_room:
        wait_until(lambda: len(left_for_others(directory)) == 10)  # the thread has released it


def fail_to_append(descriptor: int, data: bytes) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
