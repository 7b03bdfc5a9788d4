"""A stream of chunks that is watched while the application uses it as the stream that it is."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncIterator, Callable, Generator
from functools import lru_cache, wraps
from typing import Any

Note = Callable[[object], None]
"""Reads a chunk or a model response. It never raises."""

# Methods that return the whole model response or the next chunk, and those that read the stream to its end and return
# it; streams of texts; the response so far. They are those of generators and of the streaming helpers of OpenAI and
# Anthropic.
_RETURN_A_PART = ("get_final_response", "get_final_completion", "get_final_message", "send", "asend")
_UNTIL_DONE = "until_done"
_TEXTS = "text_stream"
_SNAPSHOTS = ("current_message_snapshot", "current_completion_snapshot")
_OWN = ("_entered", "_note", "_stream")


class ObservedStream:
    """The stream inside it, with its attributes and protocols. Each chunk is noted before the application gets it.

    What the stream cannot do, raises as without telemetry: `observed` gives each kind of stream a class that has the
    special methods of that kind and no others.
    """

    def __init__(self, stream: Any, note: Note) -> None:
        for name, value in zip(_OWN, (stream, note, stream), strict=True):
            object.__setattr__(self, name, value)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """For `isinstance`. The type of this object is a subclass of ObservedStream.

        Not for what can be awaited: asyncio would run the stream inside as a coroutine or task.
        """
        kind: Any = type(self._stream)
        return type(self) if hasattr(kind, "__await__") else kind

    def __getattr__(self, name: str) -> Any:
        if name in _OWN:  # a copy that was not initialized
            raise AttributeError(name)
        value = getattr(self._stream, name)
        if name in _RETURN_A_PART and callable(value):
            return self._noting(value, self._note)
        if name == _UNTIL_DONE and callable(value):
            return self._noting(value, self._note_end)
        return observed(value, self._note) if name == _TEXTS else value

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._stream, name, value)

    def _noting(self, function: Callable[..., Any], note: Note) -> Callable[..., Any]:
        """The function, so that what it returns is noted, too."""

        @wraps(function)
        def noting(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            if inspect.isawaitable(result):
                return self._noted(result, note)
            note(result)
            return self if result is self._stream else result

        return noting

    async def _noted(self, awaitable: Any, note: Note) -> Any:
        result = await awaitable
        note(result)
        if result is not self._stream:
            return result
        with contextlib.suppress(Exception):
            self._note(await result.get_final_response())
        return self

    def _note_end(self, stream: Any) -> None:
        """Note the model response of a helper that has read its stream."""
        self._note_snapshot()
        with contextlib.suppress(Exception):
            if not inspect.iscoroutinefunction(stream.get_final_response):
                self._note(stream.get_final_response())

    def _enter(self, entered: Any) -> Any:
        """What `with … as` binds: the stream itself, or that of a manager."""
        object.__setattr__(self, "_entered", entered)
        if entered is self._stream:
            return self
        is_stream = any(hasattr(type(entered), name) for name in _ITERATION)
        return observed(entered, self._note) if is_stream else entered

    def _note_snapshot(self) -> None:
        """Note the response so far, if the application read only its texts."""
        for name in _SNAPSHOTS:
            with contextlib.suppress(Exception):
                self._note(getattr(self._entered, name))


def observed(stream: Any, note: Note) -> Any:
    """The stream, watched by `note`."""
    kind: Any = type(stream)
    if issubclass(kind, ObservedStream):
        return stream
    if inspect.iscoroutine(stream):
        return _await_observed(stream, note)
    try:
        return _class_of(kind)(stream, note)
    except TypeError:  # a class that cannot be hashed
        return _class_of.__wrapped__(kind)(stream, note)


@lru_cache(maxsize=256)
def _class_of(kind: Any) -> type[ObservedStream]:
    methods = {name: method for name, method in _SPECIAL_METHODS.items() if hasattr(kind, name)}
    return type("ObservedStream", (ObservedStream,), methods)


async def _await_observed(coroutine: Any, note: Note) -> Any:
    """For a stream that is still to be awaited: `await chat.stream(client.responses.create(…, stream=True))`."""
    return observed(await coroutine, note)


def _iter(self: Any) -> Generator[Any, None, Any]:
    note, chunks = self._note, iter(self._stream)
    while True:
        try:
            chunk = next(chunks)
        except StopIteration as end:
            return end.value  # of a generator, for `yield from`
        note(chunk)
        yield chunk


async def _aiter(self: Any) -> AsyncIterator[Any]:
    note = self._note
    async for chunk in self._stream:
        note(chunk)
        yield chunk


def _next(self: Any) -> Any:
    chunk = next(self._stream)
    self._note(chunk)
    return chunk


async def _anext(self: Any) -> Any:
    chunk = await anext(self._stream)
    self._note(chunk)
    return chunk


def _await(self: Any) -> Generator[Any, Any, Any]:
    """For the task or future of a stream."""
    stream = yield from self._stream.__await__()
    return observed(stream, self._note)


def _enter(self: Any) -> Any:
    return self._enter(self._stream.__enter__())


def _exit(self: Any, *exception: Any) -> Any:
    self._note_snapshot()
    return self._stream.__exit__(*exception)


async def _aenter(self: Any) -> Any:
    return self._enter(await self._stream.__aenter__())


async def _aexit(self: Any, *exception: Any) -> Any:
    self._note_snapshot()
    return await self._stream.__aexit__(*exception)


_ITERATION = ("__iter__", "__next__", "__aiter__", "__anext__")
_SPECIAL_METHODS: dict[str, Callable[..., Any]] = {
    "__iter__": _iter,
    "__next__": _next,
    "__aiter__": _aiter,
    "__anext__": _anext,
    "__await__": _await,
    "__enter__": _enter,
    "__exit__": _exit,
    "__aenter__": _aenter,
    "__aexit__": _aexit,
    "__len__": lambda self: len(self._stream),
    "__getitem__": lambda self, key: self._stream[key],
    "__contains__": lambda self, item: item in self._stream,
    "__bool__": lambda self: bool(self._stream),
    "__call__": lambda self, *args, **kwargs: self._stream(*args, **kwargs),
}
