"""A mutant: one edit of one file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Edit(NamedTuple):
    """Replaces the characters from `start` up to `end` of a text."""

    start: int
    end: int
    replacement: str
    operator: str
    """The kind of mutation, in a few words."""


class Mutant(NamedTuple):
    """An edit of a file of the project. Mutants sort by place."""

    path: str
    """Relative to the root of the project."""
    line: int
    """Where the edit begins, from 1."""
    edit: Edit
    before: str
    """The lines that change, as one line with single spaces."""
    after: str
    """The same lines with the edit."""


def other_number(number: float) -> float:
    """One more; from 100 on twice as much, because one more of many milliseconds or bytes makes no difference."""
    return number + 1 if number < 100 else number * 2


def applied(text: str, edit: Edit) -> str:
    return text[: edit.start] + edit.replacement + text[edit.end :]


def mutants_of(path: str, text: str, edits: Iterable[Edit]) -> Iterator[Mutant]:
    """A mutant for each edit that changes the text, in the order of their places and without repetitions."""
    seen = set()
    for edit in sorted(edits):
        change = edit[:3]
        if change in seen or text[edit.start : edit.end] == edit.replacement:
            continue
        seen.add(change)
        first = text.rfind("\n", 0, edit.start) + 1
        last = text.find("\n", edit.end)
        head, tail = text[first : edit.start], text[edit.end : last if last >= 0 else len(text)]
        yield Mutant(
            path,
            text.count("\n", 0, edit.start) + 1,
            edit,
            _one_line(head + text[edit.start : edit.end] + tail),
            _one_line(head + edit.replacement + tail),
        )


def _one_line(text: str) -> str:
    return " ".join(text.split())
