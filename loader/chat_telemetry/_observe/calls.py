"""What the model calls of a chat request add up to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from chat_telemetry._observe.usage import ModelCall

Item = TypeVar("Item")

# The sources in which chat code hands over its model responses itself.
_EXPLICIT = ("usage", "stream")


def distinct(calls: list[ModelCall]) -> list[ModelCall]:
    """The calls, each once. Two sources can read the same: a stream and its final response, or an instrumentation."""
    if len({call.source for call in calls}) < 2:
        return calls
    kept: list[ModelCall] = []
    for call in sorted(calls, key=lambda call: call.source not in _EXPLICIT):
        if not any(_has_read(other, call) for other in kept):
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
    if call.source == other.source:
        return False
    # Instrumentations do not always know the id. Chat code may make the same call twice, and hand over each.
    can_compare_counts = call.step == other.step and other.source not in _EXPLICIT
    for response_id, tokens in call.responses():
        if response_id is not None and other.response_id is not None:
            is_same = response_id == other.response_id
        else:
            counts = tokens[:2]
            is_same = can_compare_counts and None not in counts and counts == other.tokens()[:2]
        if is_same:
            return True
    return False
