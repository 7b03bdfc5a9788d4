"""Observes one chat request and persists its record: durations, first byte, models, tokens and failures.

with observe_chat(user_id=user.id, user_question=question) as chat:
    with chat.step("nl_to_sql"):
        chat.record.generated_sql = sql = chat.usage(openai.responses.create(...)).output_text
    ...
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import Any, Generic, Literal, TypeVar
from uuid import UUID

from chat_telemetry._client import TelemetryClient
from chat_telemetry._default_client import persist_telemetry
from chat_telemetry._logger import logger
from chat_telemetry._observe.chat_failures import failure_in, message_of, origins
from chat_telemetry._observe.usage import ModelCall, begins_response
from chat_telemetry._record import TelemetryRecord

Step = Literal["nl_to_sql", "sql_validation", "sql_execution", "response_generation"]

TIMED_STEPS = ("nl_to_sql", "sql_execution", "response_generation")

Response = TypeVar("Response")
Stream = TypeVar("Stream")
Stream_co = TypeVar("Stream_co", covariant=True)
Chunk = TypeVar("Chunk")


def observe_chat(
    *,
    user_id: UUID,
    user_question: str,
    conversation_id: UUID | None = None,
    client: TelemetryClient | None = None,
) -> ObservedChat:
    """Observe one chat request, as `with` or `async with`, and persist its record at the end of the block.

    An exception that leaves the block is recorded, cancellation, a disconnected client and Ctrl-C included, and passes
    through unchanged. Nothing here raises or waits, whatever the arguments are. If `client` is None, the default client
    persists the record.
    """
    record = TelemetryRecord(user_id=user_id, user_question=user_question, conversation_id=conversation_id)
    return ObservedChat(record, client.persist if client else persist_telemetry)


class ObservedChat:
    """A chat request in progress. For one thread or task at a time, because a request runs its steps one by one."""

    record: TelemetryRecord
    """The record that will be persisted. Set the columns that cannot be measured: generated_sql, result_row_count,
    ai_response, follow_up_suggestions, is_off_topic. A measured value never overwrites one that is set here."""

    def __init__(self, record: TelemetryRecord, persist: Callable[[TelemetryRecord], bool]) -> None:
        self.record = record
        self._persist = persist
        self._started = time.perf_counter()
        self._step: str | None = None
        self._seconds: dict[str, float] = {}
        self._calls: list[tuple[str, ModelCall]] = []
        self._failure: tuple[BaseException, str] | None = None
        self._first_byte: float | None = None

    def step(self, name: Step) -> ObservedStep:
        """Time a step, as `with` or `async with`. An exception in the block is recorded as a failure of this step.

        A step that is entered again, for example to repair the SQL, adds to its duration. `sql_validation` has no
        duration column.
        """
        return ObservedStep(self, name)

    def first_byte(self) -> None:
        """The user sees the first text of the response now. Only the first call counts."""
        if self._first_byte is None:
            self._first_byte = time.perf_counter()

    def usage(self, response: Response) -> Response:
        """Read model and tokens from a model response, and return the same object.

        In the step `response_generation` and outside of all steps they count as `response_*`, and the id of the model
        response is kept. In every other step they count as `sql_*`. The tokens of several calls add up; the last model
        is kept.
        """
        _guarded(self._new_call().read, response)
        return response

    def stream(self, chunks: Stream) -> ObservedStream[Stream]:
        """Pass the chunks of a model response through unchanged, and read model and tokens from them.

        They count for the step in which this method is called, as in `usage`. The first text of the response is the
        first byte. OpenAI's Chat Completions report tokens only with `stream_options={"include_usage": True}`.
        """
        call = self._new_call()
        is_response = _column_prefix(self._step) == "response"

        def note(chunk: object) -> None:
            _guarded(call.read, chunk)
            if is_response and self._first_byte is None and _guarded(begins_response, chunk):
                self.first_byte()

        return ObservedStream(chunks, note)

    def fail(self, error: BaseException) -> None:
        """Record an exception that does not leave the block, for example because a handler replies to the user."""
        _guarded(self._fail, error)

    def __enter__(self) -> ObservedChat:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        _guarded(self._finish, error)

    async def __aenter__(self) -> ObservedChat:
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        _guarded(self._finish, error)

    def _new_call(self) -> ModelCall:
        call = ModelCall()
        self._calls.append((_column_prefix(self._step), call))
        return call

    def enter_step(self, name: str) -> str | None:
        """For ObservedStep: make this the current step, and return the outer one."""
        outer, self._step = self._step, name
        return outer

    def leave_step(self, name: str, outer: str | None, seconds: float, error: BaseException | None) -> None:
        """For ObservedStep: add the duration, note the exception, and make `outer` the current step again."""
        self._step = outer
        self._seconds[name] = self._seconds.get(name, 0.0) + seconds
        # An exception belongs to the innermost step that it left, even if an outer step raised another one from it.
        if error is not None and not (
            self._failure and (self._failure[0] is error or self._failure[0] is error.__cause__)
        ):
            self._failure = (error, name)

    def _fail(self, error: BaseException) -> None:
        failed_in = self._step
        if self._failure and any(origin is self._failure[0] for origin in origins(error)):
            failed_in = self._failure[1]
        if self.record.error_type is None:
            self.record.error_type, self.record.failed_step = failure_in(failed_in)
        self._fill("error_message", message_of(error))

    def _finish(self, error: BaseException | None) -> None:
        try:
            if error is not None:
                self._fail(error)
            self._fill_measured()
        finally:
            self._failure = None  # because its traceback would keep the variables of the request alive
            self._persist(self.record)

    def _fill_measured(self) -> None:
        for step, seconds in self._seconds.items():
            if step in TIMED_STEPS:
                self._fill(f"{step}_duration_ms", round(seconds * 1000))
        if self._first_byte is not None:
            self._fill("ttfb_ms", round((self._first_byte - self._started) * 1000))
        for prefix in ("sql", "response"):
            calls = [call for call_prefix, call in self._calls if call_prefix == prefix]
            self._fill(f"{prefix}_model", _last(call.model for call in calls))
            for count in ("input_tokens", "output_tokens", "cached_tokens"):
                self._fill(f"{prefix}_{count}", _total(getattr(call, count) for call in calls))
        self._fill("response_id", _last(call.response_id for prefix, call in self._calls if prefix == "response"))

    def _fill(self, column: str, value: object) -> None:
        if getattr(self.record, column) is None:
            setattr(self.record, column, value)


class ObservedStep:
    """One step of a chat request, timed from entry to exit."""

    def __init__(self, chat: ObservedChat, name: str) -> None:
        self._chat = chat
        self._name = name

    def __enter__(self) -> None:
        self._outer = self._chat.enter_step(self._name)
        self._started = time.perf_counter()

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._chat.leave_step(self._name, self._outer, time.perf_counter() - self._started, error)

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self.__exit__(kind, error, traceback)


class ObservedStream(Generic[Stream_co]):
    """A stream of chunks that can be iterated once, with `for` or `async for`, like the stream inside it."""

    def __init__(self, chunks: Stream_co, note: Callable[[object], None]) -> None:
        self._chunks = chunks
        self._note = note

    def __iter__(self: ObservedStream[Iterable[Chunk]]) -> Iterator[Chunk]:
        for chunk in self._chunks:
            self._note(chunk)
            yield chunk

    async def __aiter__(self: ObservedStream[AsyncIterable[Chunk]]) -> AsyncIterator[Chunk]:
        async for chunk in self._chunks:
            self._note(chunk)
            yield chunk


def _guarded(function: Callable[..., Any], *args: object) -> Any:
    """Call the function. An exception while observing must not fail the chat request."""
    try:
        return function(*args)
    except Exception as error:
        logger.debug("a chat request was not observed in full: %s in %s", type(error).__name__, function.__name__)
        return None


def _column_prefix(step: str | None) -> str:
    """The prefix of the columns for which a model call counts."""
    return "response" if step in (None, "response_generation") else "sql"


def _last(values: Iterable[str | None]) -> str | None:
    return next((value for value in reversed(list(values)) if value is not None), None)


def _total(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
