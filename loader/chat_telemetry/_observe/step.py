"""One step of a chat request."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from chat_telemetry._observe.advice import advise, guarded
from chat_telemetry._observe.place import STEPS, Place

if TYPE_CHECKING:
    from chat_telemetry._observe.chat import ObservedChat


class ObservedStep:
    """One step of a chat request, timed from entry to exit."""

    __slots__ = ("_chat", "_name", "_place", "_started")

    def __init__(self, chat: ObservedChat, name: str) -> None:
        self._chat = chat
        self._name = name
        self._place: Place | None = None

    def __enter__(self) -> None:
        if self._name not in STEPS:
            guarded(_advise_about, self._name)
            return
        self._started = time.perf_counter()
        self._place = self._chat.enter_step(self._name, self._started)

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if self._place is not None:
            self._chat.leave_step(self._place, self._started, error)

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self.__exit__(kind, error, traceback)


def _advise_about(name: object) -> None:
    advise(f"unknown step {str(name)[:50]!r}: use {', '.join(STEPS)}")
