"""The error_type, failed_step and error_message of an exception in a chat request."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

# By the step in which the exception was raised: error_type, and failed_step as the user sees it.
FAILURES = {
    "nl_to_sql": ("sql_generation", "understanding"),
    "sql_validation": ("sql_validation", "understanding"),
    "sql_execution": ("sql_execution", "looking_up"),
    "response_generation": ("response_generation", "response"),
}
CANCELLED = "cancelled"
MAX_MESSAGE = 2_000
"""Characters kept of an error message."""
MOST_LEAVES = 100

# The exceptions of a cancelled task, of a generator that is closed, and of a browser that goes away: package and name,
# because most of the packages are not installed.
_CANCELLATIONS = {
    ("builtins", "GeneratorExit"),
    ("asyncio", "CancelledError"),
    ("concurrent", "CancelledError"),
    ("trio", "Cancelled"),
    ("greenlet", "GreenletExit"),
    ("starlette", "ClientDisconnect"),
    ("starlette", "WebSocketDisconnect"),
    ("uvicorn", "ClientDisconnected"),
    ("django", "RequestAborted"),
    ("websockets", "ConnectionClosedOK"),
    ("aiohttp", "ClientConnectionResetError"),
    ("sanic", "RequestCancelled"),
}


class StepFailures:
    """The exceptions that left steps, each with the innermost step that it left."""

    def __init__(self) -> None:
        self._noted: deque[tuple[BaseException, str | None]] = deque(maxlen=32)

    def note(self, error: BaseException, step: str | None) -> None:
        """Note an exception that leaves a step, unless it or its cause left an inner one."""
        origin_of = {id(error), id(error.__cause__), *map(id, leaves(error))}
        if not any(id(noted) in origin_of for noted, _ in self._noted):
            self._noted.append((error, step))

    def step_of(self, error: BaseException) -> str | None:
        """The step in which the exception, or one that led to it, was raised. A cancelled task did not lead to it."""
        noted = {id(noted): step for noted, step in self._noted}
        if isinstance(error, GeneratorExit):
            # Each generator that is closed gets one of its own, the inner one first.
            return next((step for inner, step in self._noted if isinstance(inner, GeneratorExit)), None)
        found = [origin for origin in origins(error) if id(origin) in noted]
        found.sort(key=is_cancellation)
        return noted[id(found[0])] if found else None


def failure_in(step: str | None) -> tuple[str, str | None]:
    """`error_type` and `failed_step` of an exception that was raised in this step; None means outside of all steps."""
    return FAILURES.get(step or "", ("unexpected", None))


def is_cancellation(error: BaseException) -> bool:
    """Whether the request ended because the user left or the task was cancelled. That is no failure."""
    return all(
        any((str(cls.__module__).partition(".")[0], cls.__name__) in _CANCELLATIONS for cls in type(leaf).__mro__)
        for leaf in leaves(error)
    )


def origins(error: BaseException) -> Iterator[BaseException]:
    """The exception, then the exceptions in a group, causes and contexts, the nearest first."""
    waiting, seen = deque([error]), set()
    while waiting:
        origin = waiting.popleft()
        if id(origin) not in seen:
            seen.add(id(origin))
            yield origin
            held = origin.exceptions if isinstance(origin, BaseExceptionGroup) else ()
            waiting += [other for other in (*held, origin.__cause__, origin.__context__) if other is not None]


def leaves(error: BaseException) -> list[BaseException]:
    """The exceptions in a group and in its groups; otherwise the exception itself."""
    found: list[BaseException] = []
    waiting = [error]
    while waiting and len(found) < MOST_LEAVES:
        origin = waiting.pop()
        if isinstance(origin, BaseExceptionGroup):
            waiting += reversed(origin.exceptions)
        else:
            found.append(origin)
    return found


def message_of(error: BaseException) -> str:
    """The type of the exception and its text, if it has one, cut to MAX_MESSAGE characters. Of a group: of its leaves.

    The text of a cancellation says nothing about the chat: asyncio's has addresses and the path of a file.
    """
    if isinstance(error, BaseExceptionGroup):
        failed = [leaf for leaf in leaves(error) if not is_cancellation(leaf)] or leaves(error)
        messages = list(dict.fromkeys(map(message_of, failed)))
        return f"{type(error).__name__}: {'; '.join(messages)}"[:MAX_MESSAGE]
    name = type(error).__name__
    try:
        text = "" if is_cancellation(error) else str(error)
    except Exception:
        return name
    return (f"{name}: {text}" if text else name)[:MAX_MESSAGE]
