"""Progress on stderr: a bar or a changing line on a terminal, otherwise a line every ten seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

LINE_EVERY_S = 10.0


@contextmanager
def stage(name: str) -> Iterator[Callable[[str], None]]:
    """Show the name of a stage, and at its end how long it took. Yields a function that shows where it is."""
    started = time.monotonic()
    with status(name) as show:
        yield show
    console = Console(stderr=True, highlight=False)
    console.print(f"==> {name} ({time.monotonic() - started:.1f} s)", markup=False, soft_wrap=True)


@contextmanager
def status(name: str) -> Iterator[Callable[[str], None]]:
    """Show the name of what is in progress. Yields a function that shows where it is."""
    console = Console(stderr=True, highlight=False)
    pace = _Pace(time.monotonic())

    def show(text: str) -> None:
        line.update(Text(f"{name}: {text}"))
        if not console.is_terminal and pace.is_due(time.monotonic()):
            console.print(f"    {name}: {text}", markup=False, soft_wrap=True)

    with console.status(Text(name)) as line:
        yield show


@contextmanager
def rows_bar(name: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar for `total` rows. Yields a function that advances it."""
    console = Console(stderr=True, highlight=False)
    bar = _bar(console, "{task.completed:,.0f} of {task.total:,.0f} rows")
    pace, done = _Pace(time.monotonic()), 0

    def advance(rows: int) -> None:
        nonlocal done
        done += rows
        bar.update(task, completed=done)
        if bar.disable and pace.is_due(time.monotonic()):
            console.print(f"    {name}: {done:,} of {total:,} rows", markup=False, soft_wrap=True)

    with bar:
        task = bar.add_task(name, total=total)
        yield advance


class LoadProgress:
    """The progress of one input of a load. `size` is its length in bytes, None for a pipe."""

    def __init__(self, name: str, size: int | None, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._name, self._size, self._quiet = name, size, quiet
        self._started = time.monotonic()
        self._pace = _Pace(self._started)
        self._bar = _bar(self._console, "{task.fields[rate]}", quiet=quiet)
        self._task = self._bar.add_task(name, total=size, rate="")

    def __enter__(self) -> LoadProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()

    def advance(self, position: int, lines: int) -> None:
        """Show that the input was read up to byte `position`, which is `lines` lines."""
        now = time.monotonic()
        rate = f"{lines / max(now - self._started, 0.001):,.0f} lines/s"
        self._bar.update(self._task, completed=position, rate=rate)
        if self._bar.disable and not self._quiet and self._pace.is_due(now):
            share = f"{position / self._size:.0%}, " if self._size else ""
            self.note(f"{self._name}: {share}{lines:,} lines, {rate}")

    def note(self, text: str) -> None:
        """One line above the bar."""
        self._console.print(Text(text), soft_wrap=True)


class _Pace:
    """Lets a line pass every LINE_EVERY_S."""

    def __init__(self, now: float) -> None:
        self._last = now

    def is_due(self, now: float) -> bool:
        is_due = now - self._last >= LINE_EVERY_S
        if is_due:
            self._last = now
        return is_due


def _bar(console: Console, how_far: str, *, quiet: bool = False) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn(how_far),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=quiet or not console.is_terminal,
    )
