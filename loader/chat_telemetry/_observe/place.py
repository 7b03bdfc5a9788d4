"""Where code runs: in which chat request and step. A context variable carries it to tasks, threads and callbacks."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chat_telemetry._observe.chat import ObservedChat


class Place:
    """A chat request or one of its steps, and the place around it. What enters it sets its fields and the context."""

    __slots__ = ("is_open", "outer", "step_name")

    step_name: str | None
    """None: outside of all steps."""
    outer: Place | None
    is_open: bool

    @property
    def chat(self) -> ObservedChat:
        """The chat request of this place."""
        raise NotImplementedError

    def leave(self) -> None:
        """Return to the place around this one, unless the code is in another place.

        A generator runs in the context of whatever asks it for the next item: it can leave a place in a context that
        never entered it, and while another generator of the same context is in its own place.
        """
        self.is_open = False
        if get_here() is self:
            outer = self.outer
            set_here(outer if outer is None or outer.is_open else _open_place(outer))


def here() -> Place | None:
    """The innermost place that is open in this context."""
    return _open_place(get_here())


def place_in(chat: ObservedChat) -> Place | None:
    """The innermost place of this chat request in this context. None: the context does not know it.

    A task that was created in a step belongs to that step, also if the step has ended. A place around that of another
    chat request counts only if it is open.
    """
    place = get_here()
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
get_here, set_here = _here.get, _here.set


def _open_place(place: Place | None) -> Place | None:
    while place is not None and not place.is_open:
        place = place.outer
    return place
