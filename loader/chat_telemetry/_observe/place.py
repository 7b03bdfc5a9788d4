"""Where code runs: in which chat request and step. A context variable carries it to tasks, threads and callbacks."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chat_telemetry._observe.chat import ObservedChat


class Place:
    """A chat request or one of its steps, and the place around it."""

    __slots__ = ("is_lost", "is_open", "outer", "step_name")

    step_name: str | None
    """None: outside of all steps."""
    outer: Place | None
    is_open: bool
    is_lost: bool
    """Whether it was left in another context than it was entered in. A context that still has it proves nothing."""

    @property
    def chat(self) -> ObservedChat:
        """The chat request of this place."""
        raise NotImplementedError

    def enter(self) -> None:
        """Make this the place of this context. It must not be open."""
        outer = _get()
        # Only open places, so that a context keeps no chat request alive that is over.
        self.outer = outer if outer is None or outer.is_open else _open_place(outer)
        self.is_open = True
        self.is_lost = False
        _set(self)

    def leave(self, error: BaseException | None = None) -> None:
        """Return to the place around this one, unless the code is in another place.

        A generator runs in the context of whatever asks it for the next item: it can leave a place in a context that
        never entered it, and while another generator of the same context is in its own place. asyncio closes abandoned
        ones in a task, whose context is a copy.
        """
        self.is_open = False
        if _get() is self:
            outer = self.outer
            _set(outer if outer is None or outer.is_open else _open_place(outer))
            self.is_lost = isinstance(error, GeneratorExit)
        else:
            self.is_lost = True


def here() -> Place | None:
    """The innermost place that is open in this context."""
    return _open_place(_get())


def place_in(chat: ObservedChat) -> Place | None:
    """The innermost place of this chat request in this context. None: the context does not know it.

    A task that was created in a step belongs to that step, also if the step has ended. A place around that of another
    chat request counts only if it is open.
    """
    place = _get()
    is_innermost = True
    while place is not None:
        if place.chat is chat:
            if place.is_open or (is_innermost and not place.is_lost):
                return place
        else:
            is_innermost = False
        place = place.outer
    return None


_here: ContextVar[Place | None] = ContextVar("chat_telemetry_place", default=None)
_get, _set = _here.get, _here.set


def _open_place(place: Place | None) -> Place | None:
    while place is not None and not place.is_open:
        place = place.outer
    return place
