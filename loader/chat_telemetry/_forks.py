"""Calls functions in each forked child, before it runs other code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

_functions: list[Callable[[], object]] = []


def call_in_child(function: Callable[[], object]) -> None:
    """Call the function in each child that is forked from now on, in the order of the calls of `call_in_child`."""
    _functions.append(function)
    if hasattr(os, "register_at_fork"):  # Windows has no fork
        os.register_at_fork(after_in_child=function)


def watch_uwsgi() -> None:
    """uWSGI forks its workers in C, without Python's hooks. It has one hook of its own, which others may use, too, and
    which it also calls if there is only one process.
    """
    uwsgi = sys.modules.get("uwsgi")
    earlier = getattr(uwsgi, "post_fork_hook", None)
    if uwsgi is None or getattr(earlier, "belongs_to", None) == __name__:
        return

    parent = os.getpid()

    def start_worker() -> None:
        if earlier is not None:
            earlier()
        if os.getpid() != parent:
            for function in _functions:
                function()

    start_worker.belongs_to = __name__  # type: ignore[attr-defined]
    uwsgi.post_fork_hook = start_worker  # type: ignore[attr-defined]
