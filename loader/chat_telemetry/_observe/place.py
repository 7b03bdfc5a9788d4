"""Where code runs: in which chat request and step. A context variable carries it to tasks, threads and callbacks."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chat_telemetry._observe.chat import ObservedChat

STEPS = ("nl_to_sql", "sql_validation", "sql_execution", "response_generation")


class Place:
    """A chat request, or one of its steps, and the place around it."""

    __slots__ = ("chat", "is_open", "outer", "step")

    def __init__(self, chat: ObservedChat, step: str | None) -> None:
        self.chat = chat
        self.step = step
        """None: outside of all steps."""
        self.outer = _here.get()
        self.is_open = True
        _here.set(self)

    def leave(self) -> None:
        """Return to the place around this one, unless the code is in another place.

        A generator runs in the context of whatever asks it for the next item: it can leave a place in a context that
        never entered it, and while another generator of the same context is in its own place.
        """
        self.is_open = False
        if _here.get() is self:
            _here.set(_open_place(self.outer))


def here() -> Place | None:
    """The innermost place that is open in this context."""
    return _open_place(_here.get())


def place_in(chat: ObservedChat) -> Place | None:
    """The innermost place of this chat request in this context. None: the context does not know it.

    A task that was created in a step belongs to that step, also if the step has ended. A place around that of another
    chat request counts only if it is open.
    """
    place = _here.get()
    is_innermost = True
    while place is not None:
        if place.chat is chat:
            if is_innermost or place.is_open:
                return place
        else:
            is_innermost = False
        place = place.outer
    return None


_here: ContextVar[Place | None] = ContextVar("chat_telemetry_place", default=None)


def _open_place(place: Place | None) -> Place | None:
    while place is not None and not place.is_open:
        place = place.outer
    return place
