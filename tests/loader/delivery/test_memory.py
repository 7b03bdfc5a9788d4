from __future__ import annotations

import pytest

from chat_telemetry._delivery.memory import Memory


def memory_of(*lines: bytes, max_lines: int = 100, max_bytes: int = 1000) -> Memory:
    memory = Memory(max_lines, max_bytes)
    for line in lines:
        memory.append(line)
    return memory


def everything_in(memory: Memory) -> list[bytes]:
    return memory.read(1000, 10_000)


@pytest.mark.parametrize(
    ("limits", "line"),
    [
        pytest.param({"max_lines": 2}, b"c", id="too many lines"),
        pytest.param({"max_bytes": 5}, b"ccc", id="too many bytes"),
    ],
)
def test_appending_a_line_that_does_not_fit_raises_and_changes_nothing(limits: dict[str, int], line: bytes) -> None:
    memory = memory_of(b"a", b"bb", **limits)
    for _ in range(2):
        with pytest.raises(OSError, match="No buffer space available"):
            memory.append(line)
    assert everything_in(memory) == [b"a", b"bb"]
    assert len(memory) == 2


def test_memory_can_be_filled_to_its_last_line_and_its_last_byte() -> None:
    memory = memory_of(b"a", b"bb", b"ccc", max_lines=3, max_bytes=6)
    assert everything_in(memory) == [b"a", b"bb", b"ccc"]


def test_acknowledged_lines_make_room_for_as_many_lines_and_bytes() -> None:
    memory = memory_of(b"a", b"bb", b"ccc", max_lines=3, max_bytes=6)
    memory.acknowledge([b"a", b"bb"])
    assert len(memory) == 1
    memory.append(b"ddd")
    with pytest.raises(OSError, match="No buffer space"):
        memory.append(b"e")
    assert everything_in(memory) == [b"ccc", b"ddd"]


@pytest.mark.parametrize(
    ("max_lines", "max_bytes", "expected"),
    [
        pytest.param(2, 100, [b"aaa", b"bb"], id="as many lines as asked for"),
        pytest.param(9, 5, [b"aaa", b"bb"], id="as many lines as have these bytes"),
        pytest.param(9, 4, [b"aaa"], id="no part of a line"),
        pytest.param(9, 1, [b"aaa"], id="one line, even if it is too long"),
    ],
)
def test_a_read_returns_the_oldest_lines_within_its_limits(
    max_lines: int, max_bytes: int, expected: list[bytes]
) -> None:
    memory = memory_of(b"aaa", b"bb", b"c")
    assert memory.read(max_lines, max_bytes) == expected
    assert len(memory) == 3


def test_a_read_of_empty_memory_returns_nothing() -> None:
    assert memory_of().read(9, 100) == []


@pytest.mark.parametrize(
    ("keep", "kept"), [(0, []), (1, [b"a"]), (3, [b"a", b"bb", b"ccc"]), (9, [b"a", b"bb", b"ccc"])]
)
def test_discarding_keeps_the_oldest_lines_and_frees_the_room_of_the_others(keep: int, kept: list[bytes]) -> None:
    memory = memory_of(b"a", b"bb", b"ccc", max_bytes=6)
    memory.discard(keep=keep)
    assert everything_in(memory) == kept
    free = 6 - sum(map(len, kept))
    memory.append(b"x" * free)
    with pytest.raises(OSError, match="No buffer space"):
        memory.append(b"x")
