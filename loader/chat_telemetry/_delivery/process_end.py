"""Calls a function when this process ends, in each way in which a process can end and still run Python code.

At the exit of the interpreter, and at the end of child processes that leave by `os._exit`: those of `multiprocessing`,
of billiard, and of Celery's prefork pool. Other forked children that leave by `os._exit` run no hook.
"""

from __future__ import annotations

import atexit
import contextlib
import sys
import threading
from collections.abc import Callable
from typing import Any

from chat_telemetry._forks import call_in_child

# multiprocessing runs the finalizers of a child by descending priority. The last ones may persist no record any more.
LAST = -1000


class ProcessEnd:
    """Calls one function, perhaps several times, when this process ends."""

    def __init__(self, function: Callable[[], object]) -> None:
        """Registers the function for the exit of the interpreter: the earlier, the later it is called."""
        self.has_come = False
        """Whether the function was called: what begins now, nothing will end."""
        self._function = function
        self._is_exit_too_late = _is_exiting()
        self._has_hooks = False
        self._is_in_time = True
        atexit.register(self._end)
        call_in_child(self._start_child)

    def watch(self) -> bool:
        """Register the function with what runs in this process by now. False if the end has begun, so it is too late.

        Imports nothing: a process that uses none of these modules pays nothing.
        """
        if self._has_hooks:
            return self._is_in_time
        self._has_hooks = True
        self._is_in_time = not (self._is_exit_too_late and _is_exiting())
        if _is_child_of_multiprocessing():
            self._finalize_child("multiprocessing.util", self._end_child)
        elif _is_child_of_billiard():
            self._finalize_child("billiard.util", self._end)
        self._watch_celery()
        return self._is_in_time

    def _start_child(self) -> None:
        """multiprocessing forgets the finalizers and the exit hooks of the parent after this."""
        self.has_come = self._has_hooks = self._is_exit_too_late = False
        self._watch_celery()

    def _finalize_child(self, module: str, function: Callable[[], object]) -> None:
        util = sys.modules[module]
        self._is_in_time = not util.is_exiting()
        util.Finalize(None, function, exitpriority=LAST)

    def _watch_celery(self) -> None:
        """The children of a prefork pool end by `os._exit` after this signal, also when their tasks are used up."""
        if signals := sys.modules.get("celery.signals"):
            with contextlib.suppress(Exception):
                signals.worker_process_shutdown.connect(self._end, weak=False, dispatch_uid=__name__)

    def _end(self, **_: Any) -> None:
        self.has_come = True
        self._function()

    def _end_child(self) -> None:
        """Before Python 3.13 a child runs its finalizers first, and then waits for its threads, which may persist."""
        threads = [thread for thread in threading.enumerate() if _keeps_the_process(thread)]
        if threads:
            with contextlib.suppress(RuntimeError):
                threading.Thread(target=self._end_after, args=[threads], name="chat-telemetry-exit").start()
                return
        self._end()

    def _end_after(self, threads: list[threading.Thread]) -> None:
        for thread in threads:
            thread.join()
        self._end()


def _is_exiting() -> bool:
    """Whether this is called by an exit hook: the main thread counts as ended when they run."""
    main = threading.main_thread()
    return threading.current_thread() is main and not main.is_alive()


def _is_child_of_multiprocessing() -> bool:
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None


def _is_child_of_billiard() -> bool:
    process = sys.modules.get("billiard.process")
    return process is not None and type(process.current_process()).__name__ != "_MainProcess"


def _keeps_the_process(thread: threading.Thread) -> bool:
    return not thread.daemon and thread not in (threading.main_thread(), threading.current_thread())
