"""A stream of chunks that is watched while the application uses it as the stream that it is."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from functools import cache, wraps
from typing import Any

Note = Callable[[object], None]
"""Reads a chunk or a model response. It never raises."""

# Of the streaming helpers of OpenAI and Anthropic: methods that return the whole model response, streams of its texts,
# and the response so far.
_FINAL = "get_final_"
_TEXTS = "text_stream"
_SNAPSHOTS = ("current_message_snapshot", "current_completion_snapshot")


class ObservedStream:
    """The stream inside it, with its attributes and protocols. Each chunk is noted before the application gets it.

    What the stream cannot do, raises as without telemetry: `observed` gives each kind of stream a class that has the
    special methods of that kind and no others.
    """

    def __init__(self, stream: Any, note: Note) -> None:
        self._stream = stream
        self._note = note
        self._entered: Any = stream

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """For `isinstance`. The type of this object is a subclass of ObservedStream."""
        return type(self._stream)

    def __getattr__(self, name: str) -> Any:
        if name in {"_stream", "_note", "_entered"}:  # a copy that was not initialized
            raise AttributeError(name)
        value = getattr(self._stream, name)
        if name.startswith(_FINAL) and callable(value):
            return self._noting(value)
        return observed(value, self._note) if name == _TEXTS else value

    def _noting(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, so that what it returns is noted, too."""

        @wraps(function)
        def noting(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            if inspect.isawaitable(result):
                return self._noted(result)
            self._note(result)
            return result

        return noting

    async def _noted(self, awaitable: Any) -> Any:
        result = await awaitable
        self._note(result)
        return result

    def _enter(self, entered: Any) -> Any:
        """What `with … as` binds: the stream itself, or that of a manager."""
        self._entered = entered
        return self if entered is self._stream else observed(entered, self._note)

    def _note_snapshot(self) -> None:
        """Note the response so far, if the application read only its texts."""
        for name in _SNAPSHOTS:
            with contextlib.suppress(Exception):
                self._note(getattr(self._entered, name))


def observed(stream: Any, note: Note) -> Any:
    """The stream, watched by `note`."""
    kind: Any = type(stream)
    return _class_of(kind)(stream, note)


@cache
def _class_of(kind: Any) -> type[ObservedStream]:
    methods = {name: method for name, method in _SPECIAL_METHODS.items() if hasattr(kind, name)}
    return type("ObservedStream", (ObservedStream,), methods)


def _iter(self: Any) -> Iterator[Any]:
    note = self._note
    for chunk in self._stream:
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
    """For a stream that is still to be awaited: `await chat.stream(client.responses.create(…, stream=True))`."""
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
