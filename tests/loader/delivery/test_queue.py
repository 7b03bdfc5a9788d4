from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chat_telemetry._delivery import queue as queue_module
from chat_telemetry._delivery.journal import Journal
from chat_telemetry._delivery.queue import LineQueue
from chat_telemetry._settings import Settings
from chat_telemetry._stats import Stats
from tests.loader.conftest import wait_until


def queue(**settings: Any) -> LineQueue:
    return LineQueue(Settings(**{"max_batch_age": 0.001, **settings}))


def in_thread(action: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """Run the action in a thread. Returns the thread, and a list to which it appends the result."""
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(action()), daemon=True)
    thread.start()
    return thread, results


def test_lines_are_taken_in_order_and_stay_until_they_are_acknowledged() -> None:
    lines = queue(batch_records=2)
    for line in (b"1", b"2", b"3"):
        assert lines.put(line)
    assert lines.take() == [b"1", b"2"]
    assert lines.take() == [b"1", b"2"]
    lines.acknowledge(stored=1, duplicates=1, rejected=0)
    assert lines.take() == [b"3"]
    lines.acknowledge(stored=0, duplicates=0, rejected=1)
    assert lines.stats() == Stats(accepted=3, stored=1, duplicates=1, rejected=1)


def test_a_full_queue_rejects_new_lines() -> None:
    lines = queue(max_queue_records=2)
    assert [lines.put(line) for line in (b"1", b"2", b"3")] == [True, True, False]
    assert lines.take() == [b"1", b"2"]
    assert not lines.put(b"4"), "the current batch still takes room"
    lines.acknowledge(stored=2, duplicates=0, rejected=0)
    assert lines.put(b"5")
    assert lines.stats() == Stats(accepted=3, stored=2, pending=1, dropped=2)


def test_a_queue_is_also_full_when_it_has_too_many_bytes() -> None:
    lines = queue(max_queue_bytes=10)
    assert [lines.put(b"x" * size) for size in (6, 5, 4, 1)] == [True, False, True, False]
    lines.take()
    lines.acknowledge(stored=2, duplicates=0, rejected=0)
    assert lines.put(b"x" * 10)


def test_a_batch_ends_before_the_line_that_would_make_it_too_large() -> None:
    lines = queue(batch_bytes=10)
    for size in (20, 6, 4, 1):
        lines.put(b"x" * size)
    sizes = []
    while lines.stats().pending:
        batch = lines.take() or []
        sizes.append([len(line) for line in batch])
        lines.acknowledge(stored=len(batch), duplicates=0, rejected=0)
    assert sizes == [[20], [6, 4], [1]]


def test_a_batch_waits_for_max_batch_age_unless_it_is_full() -> None:
    lines = queue(max_batch_age=0.3, batch_records=2)
    started = time.monotonic()
    lines.put(b"1")
    assert lines.take() == [b"1"]
    assert time.monotonic() - started >= 0.3
    full = queue(max_batch_age=60, batch_records=2)
    for line in (b"1", b"2"):
        full.put(line)
    taker, taken = in_thread(full.take)
    taker.join(30)
    assert taken == [[b"1", b"2"]]


def test_take_wakes_up_for_the_first_line_and_again_for_a_full_batch() -> None:
    lines = queue(max_batch_age=60, batch_records=3)
    taker, taken = in_thread(lines.take)
    for line, wake_at in ((b"1", 1), (b"2", 3), (b"3", 3)):
        wait_until(lambda: lines._wake_at == wake_at)  # noqa: B023 - called in this round
        lines.put(line)
    taker.join(60)
    assert taken == [[b"1", b"2", b"3"]]


def test_a_flush_ends_the_wait_for_a_full_batch() -> None:
    lines = queue(max_batch_age=60)
    lines.put(b"1")
    taker, taken = in_thread(lines.take)
    wait_until(lambda: not lines.flush(0.05) and taken)
    taker.join(60)
    assert taken == [[b"1"]]


def test_after_a_flush_a_batch_waits_for_its_age_again() -> None:
    lines = queue(max_batch_age=0.3)
    lines.put(b"1")
    assert not lines.flush(0)
    started = time.monotonic()
    assert lines.take() == [b"1"]
    assert time.monotonic() - started >= 0.3


def test_a_flush_waits_for_every_line_accepted_before_it() -> None:
    lines = queue()
    assert lines.flush(0)
    lines.put(b"1")
    flusher, flushed = in_thread(lambda: lines.flush(float("inf")))
    wait_until(lambda: lines._waiters)
    lines.take()
    lines.acknowledge(stored=1, duplicates=0, rejected=0)
    flusher.join(60)
    assert flushed == [True]


@pytest.mark.parametrize("timeout", [-1, 0, 0.05])
def test_flush_and_close_end_in_time_if_no_thread_takes_lines(timeout: float) -> None:
    lines = queue()
    lines.put(b"1")
    started = time.monotonic()
    assert not lines.flush(timeout)
    assert not lines.close(timeout)
    assert time.monotonic() - started < 30
    assert lines.stats() == Stats(accepted=1, discarded_at_exit=1)
    assert not lines.flush(timeout), "a line that was given up is not delivered"
    assert lines.flush(float("inf")) is False


def test_a_closed_queue_rejects_lines_and_ends_a_waiting_take() -> None:
    lines = queue()
    taker, taken = in_thread(lines.take)
    assert lines.close(0)
    taker.join(60)
    assert taken == [None]
    assert not lines.put(b"1")
    assert lines.stats() == Stats(dropped=1)


def test_a_queue_that_stopped_accepting_delivers_the_lines_it_has() -> None:
    lines = queue(max_batch_age=60)
    lines.put(b"1")
    lines.stop_accepting()
    assert not lines.put(b"2")
    assert lines.take() == [b"1"]
    lines.acknowledge(stored=1, duplicates=0, rejected=0)
    assert lines.take() is None


@pytest.mark.parametrize("is_stored", [True, False])
def test_a_batch_being_sent_when_a_close_times_out_is_given_up_unless_its_outcome_arrives(is_stored: bool) -> None:
    lines = queue(batch_records=2)
    for line in (b"1", b"2", b"3"):
        lines.put(line)
    lines.take()
    assert not lines.close(0)
    assert lines.stats() == Stats(accepted=3, discarded_at_exit=3)
    assert not lines.close(0)
    assert lines.stats() == Stats(accepted=3, discarded_at_exit=3)
    if is_stored:
        lines.acknowledge(stored=2, duplicates=0, rejected=0)
        assert lines.stats() == Stats(accepted=3, discarded_at_exit=1, stored=2)
    else:
        lines.pause(60)
        assert lines.stats() == Stats(accepted=3, discarded_at_exit=3)
    assert lines.take() is None


def test_a_batch_is_as_small_as_the_thread_wants_and_then_waits_for_no_more_lines() -> None:
    lines = queue(max_batch_age=60)
    for line in (b"1", b"2", b"3"):
        lines.put(line)
    assert lines.take(most=2) == [b"1", b"2"]


def test_take_returns_an_empty_batch_if_no_line_came_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_module, "IDLE_S", 0.01)
    assert queue().take() == []


def test_one_long_flush_makes_a_pause_short() -> None:
    lines = queue()
    lines.put(b"1")
    lines.take()
    flusher, flushed = in_thread(lambda: lines.flush(30))
    wait_until(lambda: lines._waiters)
    started = time.monotonic()
    lines.pause(60)
    assert time.monotonic() - started < 30
    lines.take()
    lines.acknowledge(stored=1, duplicates=0, rejected=0)
    flusher.join(60)
    assert flushed == [True]


def test_a_flush_that_begins_during_a_pause_makes_it_short() -> None:
    lines = queue()
    lines.put(b"1")
    lines.take()
    pauser, _ = in_thread(lambda: lines.pause(60))
    flusher, _ = in_thread(lambda: lines.flush(30))
    pauser.join(20)
    assert not pauser.is_alive()
    assert flusher.is_alive()
    lines.close(0)
    flusher.join(60)


def test_a_pause_has_its_full_length_if_no_flush_waits() -> None:
    started = time.monotonic()
    queue().pause(0.3)
    assert time.monotonic() - started >= 0.3


def test_a_thread_that_holds_the_lock_can_put_a_line_like_a_signal_handler() -> None:
    lines = queue()
    with lines._lock:
        putter, _ = in_thread(lambda: lines.put(b"other thread"))
        assert lines.put(b"same thread")
    putter.join(60)
    assert lines.stats().accepted == 2


def test_a_reset_queue_is_empty_and_usable_even_if_its_lock_was_held() -> None:
    lines = queue()
    lines.put(b"1")
    with lines._lock:
        lines.reset()
        putter, accepted = in_thread(lambda: lines.put(b"2"))
        putter.join(60)
    assert accepted == [True]
    assert lines.stats() == Stats(accepted=1, pending=1)


class PuttingBatch(list[bytes]):
    """A batch that puts a line whenever its length is read, as a finalizer could at that moment."""

    def __init__(self, lines: LineQueue, batch: list[bytes]) -> None:
        super().__init__(batch)
        self.lines = lines
        self.put = 0

    def __len__(self) -> int:
        self.put += self.lines.put(b"the finalizer's")
        return super().__len__()


@pytest.mark.parametrize("has_journal", [False, True])
def test_a_line_that_a_finalizer_puts_while_a_batch_is_acknowledged_counts_as_waiting(
    tmp_path: Path, has_journal: bool
) -> None:
    lines = LineQueue(Settings(max_batch_age=0.001), Journal(tmp_path) if has_journal else None)
    lines.put(b"first")
    lines.take()
    batch = lines._batch = PuttingBatch(lines, lines._batch)
    lines.acknowledge(stored=1, duplicates=0, rejected=0)
    assert batch.put
    assert lines.stats() == Stats(accepted=1 + batch.put, stored=1, pending=batch.put)
    lines.close(0)
    given_up = "left_in_journal" if has_journal else "discarded_at_exit"
    assert lines.stats() == Stats(accepted=1 + batch.put, stored=1, **{given_up: batch.put})
