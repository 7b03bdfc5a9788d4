"""One step of a chat request, and how long the steps take."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection
from operator import itemgetter
from typing import TYPE_CHECKING

from chat_telemetry._observe.advice import advise, guarded
from chat_telemetry._observe.place import Place

if TYPE_CHECKING:
    from chat_telemetry._observe.chat import ObservedChat

STEPS = dict.fromkeys(("nl_to_sql", "sql_validation", "sql_execution", "response_generation"))
# By the column with the duration. The validation of SQL has none.
TIMED_STEPS: dict[str | None, str] = {
    "nl_to_sql": "nl_to_sql_duration_ms",
    "sql_execution": "sql_execution_duration_ms",
    "response_generation": "response_generation_duration_ms",
}

Interval = tuple[str | None, float, float | None]
"""A step, when it began, and when it ended: moments of `time.perf_counter`. None: nobody knows when."""


class ObservedStep(Place):
    """One step of a chat request, timed from entry to exit."""

    __slots__ = ("_again", "_chat", "_started")

    def __init__(self, chat: ObservedChat, name: str) -> None:
        self._chat = chat
        self.step_name = name
        self.is_open = False
        self._again: list[ObservedStep] | None = None

    @property
    def chat(self) -> ObservedChat:
        """The chat request of this step."""
        return self._chat

    @property
    def started(self) -> float:
        """When it was entered, by `time.perf_counter`."""
        return self._started

    def __enter__(self) -> None:
        if self.is_open:
            self._enter_again()
            return
        self.enter()
        self._chat.open_steps.append(self)
        self._started = time.perf_counter()

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if self._again:
            self._again.pop().__exit__(kind, error, traceback)
            return
        ended = time.perf_counter()
        self.leave(error)
        chat = self._chat
        try:
            chat.open_steps.remove(self)
        except ValueError:  # it was entered in an earlier block of the chat
            return
        if error is None and not chat.is_over:
            chat.intervals.append((self.step_name, self._started, ended))
        else:
            guarded(chat.end_step, self.step_name, self._started, ended, error)

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self.__exit__(kind, error, traceback)

    def _enter_again(self) -> None:
        """One object in two blocks at the same time is two steps."""
        again = ObservedStep(self._chat, self.step_name or "")
        again.__enter__()
        self._again = [*(self._again or ()), again]


def step_named(chat: ObservedChat, name: object) -> ObservedStep | NoStep:
    """The step of a name that is not exactly a `str`, for example a member of an enumeration, or that is unknown."""
    with contextlib.suppress(Exception):
        if isinstance(name, str) and (text := "".join(name)) in STEPS:
            return ObservedStep(chat, text)
    return NoStep(name)


class NoStep(contextlib.nullcontext[None]):
    """A block with the name of no step. It is reported once, and changes nothing."""

    def __init__(self, name: object) -> None:
        super().__init__()
        guarded(_advise_about, name)


def milliseconds(intervals: Collection[Interval]) -> dict[str | None, int]:
    """The time in which each step was open, once or in several tasks at the same time.

    A step has none if nobody knows when one of its intervals ended.
    """
    durations = {step: round((ended - started) * 1000) for step, started, ended in intervals if ended is not None}
    if len(durations) == len(intervals):  # as in most requests, each step once
        return durations
    by_step: dict[str | None, list[tuple[float, float | None]]] = {}
    for step, started, ended in intervals:
        by_step.setdefault(step, []).append((started, ended))
    return {step: duration for step, times in by_step.items() if (duration := _union(times)) is not None}


def _union(times: list[tuple[float, float | None]]) -> int | None:
    """The milliseconds in at least one of the intervals."""
    seconds, until = 0.0, 0.0
    for started, ended in sorted(times, key=itemgetter(0)):
        if ended is None:
            return None
        seconds += max(0.0, ended - max(started, until))
        until = max(until, ended)
    return round(seconds * 1000)


def _advise_about(name: object) -> None:
    advise(f"unknown step {str(name)[:50]!r}: use {', '.join(STEPS)}", group="steps")
