"""Observes one chat request and persists its record: durations, first byte, models, tokens and failures.

with observe_chat(user_id=user.id, user_question=question) as chat:
    with chat.step("nl_to_sql"):
        chat.record.generated_sql = sql = chat.usage(openai.responses.create(...)).output_text
    ...
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from typing import Literal, TypeVar, cast
from uuid import UUID

from chat_telemetry._client import TelemetryClient
from chat_telemetry._default_client import persist_telemetry
from chat_telemetry._logger import logger
from chat_telemetry._observe.advice import advise, guarded, tell
from chat_telemetry._observe.chat_failures import StepFailures, is_cancellation, message_of
from chat_telemetry._observe.filling import fill, fill_calls, fill_durations, fill_failure
from chat_telemetry._observe.first_text import begins_response
from chat_telemetry._observe.place import Place, here, place_in
from chat_telemetry._observe.step import STEPS, Interval, NoStep, ObservedStep, step_named
from chat_telemetry._observe.stream import observed
from chat_telemetry._observe.usage import ModelCall, model_responses
from chat_telemetry._record import TelemetryRecord

Step = Literal["nl_to_sql", "sql_validation", "sql_execution", "response_generation"]

Response = TypeVar("Response")
Stream = TypeVar("Stream")

LATE = "observe_chat was used after its block, which persisted the record: put the block where the chat request ends"
TWICE = "one observe_chat was entered twice: call observe_chat for each chat request"
COROUTINE = "chat.usage got a coroutine, which is no model response: write chat.usage(await …)"
RAW_RESPONSE = "chat.usage got a raw HTTP response: hand it what its parse() returns"


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
    return ObservedChat(record, persist_telemetry if client is None else client.persist)


def current() -> ObservedChat | None:
    """The chat request that this code runs in: in tasks, callbacks and threads, if they got the context of the request.

    None outside of `observe_chat`, and in a thread that was started without the context (`contextvars.copy_context`).
    """
    place = here()
    return None if place is None else place.chat


class ObservedChat(Place):
    """A chat request in progress. Its tasks and threads may run steps and model calls at the same time."""

    __slots__ = (
        "__weakref__",
        "_calls",
        "_entered",
        "_failures",
        "_first_byte",
        "_last_activity",
        "_persist",
        "_started",
        "intervals",
        "is_over",
        "open_steps",
        "record",
    )

    record: TelemetryRecord
    """The record that will be persisted. Set the columns that cannot be measured: generated_sql, result_row_count,
    ai_response, follow_up_suggestions, is_off_topic. A measured value never overwrites one that is set here."""

    def __init__(self, record: TelemetryRecord, persist: Callable[[TelemetryRecord], bool]) -> None:
        self.record = record
        self.is_over = False
        self.step_name = None
        self._persist = persist
        self._entered = 0
        self._first_byte: float | None = None
        self._failures: StepFailures | None = None
        self._calls: list[ModelCall] = []
        self.intervals: list[Interval] = []
        self.open_steps: list[ObservedStep] = []
        self._started = self._last_activity = time.perf_counter()

    @property
    def chat(self) -> ObservedChat:
        """Itself: the place outside of its steps."""
        return self

    def step(self, name: Step) -> ObservedStep | NoStep:
        """Time a step, as `with` or `async with`. An exception in the block is recorded as a failure of this step.

        The duration is the time in which the step is open: once, several times, or in several tasks at the same time.
        `sql_validation` has no duration column. An unknown name is reported once, and its block has no step.
        """
        return ObservedStep(self, name) if type(name) is str and name in STEPS else step_named(self, name)

    def first_byte(self) -> None:
        """The user sees the first text of the response now. Only the first call counts."""
        if self.is_over:
            advise(LATE)
        if self._first_byte is None:
            self._first_byte = self._last_activity = time.perf_counter()

    def usage(self, response: Response) -> Response:
        """Read model and tokens from a model response, and return the same object.

        In the step `response_generation` and outside of all steps they count as `response_*`, and the id of the model
        response is kept. In every other step they count as `sql_*`. The tokens of several calls add up; the last model
        is kept. A model response that says that it failed or is incomplete is an error of the step, unless a later one
        of this step is whole.
        """
        guarded(self._read, response)
        return response

    def stream(self, chunks: Stream) -> Stream:
        """The stream, which is used as without telemetry. Model and tokens are read from its chunks.

        They count for the step in which this method is called, as in `usage`. The first text of the response is the
        first byte. OpenAI's Chat Completions report tokens only with `stream_options={"include_usage": True}`.
        """
        try:
            return cast("Stream", observed(chunks, self._note_of(self.new_call("stream", self.step_here()))))
        except Exception as error:
            tell(error, "stream")
            return chunks

    def fail(self, error: BaseException) -> None:
        """Record an exception that does not leave the block, for example because a handler replies to the user."""
        if self.is_over:
            advise(LATE)
        guarded(self._fail, error)

    def __enter__(self) -> ObservedChat:
        if self._entered or self.is_over:
            advise(TWICE)
        if self.is_over:
            guarded(self._begin_again)
        if not self._entered:
            self.enter()
        self._entered += 1
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._entered -= 1
        if not self._entered:
            self._finish(error)

    async def __aenter__(self) -> ObservedChat:
        return self.__enter__()

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self.__exit__(kind, error, traceback)

    def step_here(self) -> str | None:
        """The step that this code runs in. In a thread without the context: the only step that is open."""
        place = place_in(self)
        if place is not None:
            return place.step_name
        open_steps = {step.step_name for step in self.open_steps}
        return open_steps.pop() if len(open_steps) == 1 else None

    def new_call(self, source: str, step: str | None) -> ModelCall:
        """A model call that counts for this step; None: outside of all steps."""
        if self.is_over:
            advise(LATE)
        call = ModelCall(source, step)
        self._calls.append(call)
        return call

    def end_step(self, step: str | None, started: float, ended: float, error: BaseException | None) -> None:
        """For ObservedStep: an exception leaves the step, or the chat request is over."""
        is_closed = isinstance(error, GeneratorExit)
        self.intervals.append((step, started, self._last_known(started) if is_closed else ended))
        if self.is_over:
            if error is None or not is_cancellation(error):  # as for a generator in that of the chat request
                advise(LATE)
        elif error is not None:
            self.note_failure(error, step)

    def _last_known(self, started: float) -> float | None:
        """The end of a step in a generator that is closed: a server may do that long after the user left."""
        return self._last_activity if self._last_activity > started else None

    def note_failure(self, error: BaseException, step: str | None) -> None:
        """An exception was raised in this step. It is recorded if it ends the request."""
        if self._failures is None:
            self._failures = StepFailures()
        self._failures.note(error, step)

    def _begin_again(self) -> None:
        asked = self.record
        record = TelemetryRecord(
            user_id=asked.user_id, user_question=asked.user_question, conversation_id=asked.conversation_id
        )
        self.__init__(record, self._persist)  # type: ignore[misc]

    def _read(self, response: object) -> None:
        for part in model_responses(response):
            call = self.new_call("usage", self.step_here())
            call.read(part)
            self._last_activity = time.perf_counter()
            if call.is_empty:
                _advise_about(response)

    def _note_of(self, call: ModelCall) -> Callable[[object], None]:
        waits_for_text = call.column_prefix == "response"

        def note(chunk: object) -> None:
            try:
                call.read(chunk)
                if self.is_over:
                    advise(LATE)
                self._last_activity = time.perf_counter()
                if waits_for_text and self._first_byte is None and begins_response(chunk):
                    self._first_byte = self._last_activity
            except Exception as error:
                tell(error, "stream")

        return note

    def _fail(self, error: BaseException) -> None:
        if self.record.error_type is None:
            step = self._failures.step_of(error) if self._failures else None
            fill_failure(self.record, step or self.step_here(), is_cancelled=is_cancellation(error))
        fill(self.record, "error_message", message_of(error))

    def _finish(self, error: BaseException | None) -> None:
        if error is not None:
            guarded(self._fail, error)
        if isinstance(error, GeneratorExit):
            self.intervals += [
                (step.step_name, step.started, self._last_known(step.started)) for step in self.open_steps
            ]
        self.leave()
        for step in self.open_steps:
            step.is_open = False  # so that no place around a later block is a step of this one
        try:
            self._fill_measured()
        except Exception as failure:
            tell(failure, "finish")
        self.is_over = True
        self._failures = None  # because tracebacks would keep the variables of the request alive
        try:
            self._persist(self.record)
        except Exception as failure:
            tell(failure, "persist")

    def _fill_measured(self) -> None:
        record = self.record
        fill_durations(record, self.intervals)
        if self._first_byte is not None and record.ttfb_ms is None:
            record.ttfb_ms = round((self._first_byte - self._started) * 1000)
        if self._calls:
            fill_calls(record, self._calls)


def _advise_about(response: object) -> None:
    """Common slips after which nothing can be read."""
    if inspect.isawaitable(response):
        advise(COROUTINE)
    elif hasattr(response, "http_response") and hasattr(response, "parse"):
        advise(RAW_RESPONSE)
    else:
        logger.debug("an object of type %s is no model response that is known", type(response).__name__)
