"""Progress of a load on stderr: a bar with rate and time left on a terminal, otherwise a line every ten seconds."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

LINE_EVERY_S = 10.0


class LoadProgress:
    """The progress of one input. `size` is its length in bytes, None for a pipe."""

    def __init__(self, name: str, size: int | None) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._name, self._size = name, size
        self._started = self._last_line = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
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
        if self._bar.disable and now - self._last_line >= LINE_EVERY_S:
            self._last_line = now
            share = f"{position / self._size:.0%}, " if self._size else ""
            self.note(f"{self._name}: {share}{lines:,} lines, {rate}")

    def note(self, text: str) -> None:
        """One line above the bar."""
        self._console.print(Text(text), soft_wrap=True)
