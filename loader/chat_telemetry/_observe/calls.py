"""What the model calls of a chat request add up to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from chat_telemetry._observe.usage import ModelCall

Item = TypeVar("Item")

# The sources in which chat code hands over its model responses itself.
_EXPLICIT = ("usage", "stream")


def distinct(calls: Iterable[ModelCall]) -> list[ModelCall]:
    """The calls, without those that a second source has read as well, for example an instrumentation and chat code."""
    calls = list(calls)
    if len({call.source in _EXPLICIT or call.source for call in calls}) < 2:
        return calls
    kept: list[ModelCall] = []
    for call in sorted(calls, key=lambda call: call.source not in _EXPLICIT):
        if not any(other.source != call.source and _has_read(other, call) for other in kept):
            kept.append(call)
    return kept


def failed_call(calls: Iterable[ModelCall]) -> ModelCall | None:
    """The last call of a step in which no later call succeeded."""
    last_of_step = {call.step: call for call in calls if not call.is_empty}
    return last(call for call in last_of_step.values() if call.failure is not None)


def last(values: Iterable[Item | None]) -> Item | None:
    """The last value that is known."""
    return next((value for value in reversed(list(values)) if value is not None), None)


def _has_read(call: ModelCall, other: ModelCall) -> bool:
    """Whether the other call is one of the model responses of this one: the events of an agent can hold several."""
    for response_id, tokens in call.responses():
        if response_id is not None and other.response_id is not None:
            is_same = response_id == other.response_id
        else:
            read_and_written = tokens[:2]
            is_same = (
                call.step == other.step and None not in read_and_written and read_and_written == other.tokens()[:2]
            )
        if is_same:
            return True
    return False
