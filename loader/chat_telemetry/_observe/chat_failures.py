"""The error_type, failed_step and error_message of an exception in a chat request."""

from __future__ import annotations

from collections.abc import Iterator

# By the step in which the exception was raised: error_type, and failed_step as the user sees it.
FAILURES = {
    "nl_to_sql": ("sql_generation", "understanding"),
    "sql_validation": ("sql_validation", "understanding"),
    "sql_execution": ("sql_execution", "looking_up"),
    "response_generation": ("response_generation", "response"),
}
MAX_MESSAGE = 2_000
"""Characters kept of an error message."""


def failure_in(step: str | None) -> tuple[str, str | None]:
    """`error_type` and `failed_step` of an exception that was raised in this step; None means outside of all steps."""
    return FAILURES.get(step or "", ("unexpected", None))


def origins(error: BaseException) -> Iterator[BaseException]:
    """The exception, its causes and contexts, and the exceptions in an ExceptionGroup."""
    waiting, seen = [error], set()
    while waiting:
        origin = waiting.pop()
        if id(origin) not in seen:
            seen.add(id(origin))
            yield origin
            held = origin.exceptions if isinstance(origin, BaseExceptionGroup) else ()
            waiting += [other for other in (origin.__cause__, origin.__context__, *held) if other is not None]


def message_of(error: BaseException) -> str:
    """The type of the exception and its text, if it has one, cut to MAX_MESSAGE characters."""
    name = type(error).__name__
    try:
        text = str(error)
    except Exception:
        return name
    return (f"{name}: {text}" if text else name)[:MAX_MESSAGE]
