"""What the developer learns about chat code that cannot be observed. Nothing here fails a chat request."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import wraps
from typing import Any

from chat_telemetry._logger import logger

_given: dict[str, set[str]] = {}
# Of each group, because an application could make the texts, for example names of steps.
MOST = 20


def advise(text: str, *, group: str = "") -> None:
    """Log a warning, unless the same text was logged before in this process, or too many others of its group."""
    given = _given.setdefault(group, set())
    if text not in given and len(given) < MOST:
        given.add(text)
        # A handler or filter of the application may raise.
        with contextlib.suppress(Exception):
            logger.warning("%s", text)


def tell(error: Exception, where: str) -> None:
    """Log at level DEBUG that something was not observed."""
    with contextlib.suppress(Exception):
        logger.debug("a chat request was not observed in full: %s in %s", type(error).__name__, where)


def guarded(function: Callable[..., Any], *args: object) -> None:
    """Call the function. An exception while observing must not fail the chat request."""
    try:
        function(*args)
    except Exception as error:
        tell(error, function.__name__)


def unfailing(callback: Callable[..., None]) -> Callable[..., None]:
    """The callback of another package, so that it raises nothing into that package."""

    @wraps(callback)
    def unfailing_callback(*args: Any, **kwargs: Any) -> None:
        try:
            callback(*args, **kwargs)
        except Exception as error:
            tell(error, callback.__name__)

    return unfailing_callback
