"""How long the steps of a chat request take. Threads and tasks may run the same step at the same time."""

from __future__ import annotations

import threading
from collections.abc import Iterator


class _Timer:
    __slots__ = ("is_unknown", "open", "seconds", "since")

    def __init__(self) -> None:
        self.open = 0
        self.since = 0.0
        self.seconds = 0.0
        self.is_unknown = False


class StepTimes:
    """The time in which each step was open, once or several times. Moments are those of `time.perf_counter`."""

    def __init__(self) -> None:
        self._timers: dict[str, _Timer] = {}
        self._lock = threading.RLock()

    def begin(self, step: str, now: float) -> None:
        """The step begins."""
        with self._lock:
            timer = self._timer(step)
            if timer.open == 0:
                timer.since = now
            timer.open += 1

    def end(self, step: str, now: float | None) -> None:
        """The step ends. None: nobody knows when, so the step has no duration."""
        with self._lock:
            timer = self._timers[step]
            timer.open -= 1
            if now is None:
                timer.is_unknown = True
            elif timer.open == 0:
                timer.seconds += max(0.0, now - timer.since)

    def add(self, step: str, seconds: float) -> None:
        """Add a time in which the step was not open."""
        with self._lock:
            self._timer(step).seconds += seconds

    def only_open_step(self) -> str | None:
        """The step that is open, if it is the only one."""
        with self._lock:
            names = [step for step, timer in self._timers.items() if timer.open]
        return names[0] if len(names) == 1 else None

    def milliseconds(self) -> Iterator[tuple[str, int]]:
        """The steps that have ended, and their durations."""
        with self._lock:
            timers = list(self._timers.items())
        for step, timer in timers:
            if not timer.open and not timer.is_unknown:
                yield step, round(timer.seconds * 1000)

    def _timer(self, step: str) -> _Timer:
        timer = self._timers.get(step)
        if timer is None:
            timer = self._timers[step] = _Timer()
        return timer
