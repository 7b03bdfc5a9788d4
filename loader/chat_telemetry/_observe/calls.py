"""What the model calls of a chat request add up to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from chat_telemetry._observe.usage import ModelCall

Item = TypeVar("Item")

# The sources in which chat code hands over its model responses itself.
_EXPLICIT = ("usage", "stream")


def distinct(calls: list[ModelCall]) -> list[ModelCall]:
    """The calls, each once. Several sources can read the same: a stream and its final response, or instrumentations.

    What only the other source knows, for example the model, is taken over.
    """
    sources = {call.source for call in calls}
    if len(sources) < 2 and sources.issubset(_EXPLICIT):
        return calls
    kept: list[ModelCall] = []
    matched: set[tuple[int, int, str]] = set()
    for call in sorted(calls, key=lambda call: call.source not in _EXPLICIT):
        same = next((other for other in kept if _has_read(other, call, matched)), None)
        if same is None:
            kept.append(call)
        else:
            same.complete_from(call)
    return [call for call in calls if call in kept]  # in the order in which they were made


def failed_call(calls: Iterable[ModelCall]) -> ModelCall | None:
    """The last call of a step in which no later call succeeded."""
    last_of_step = {call.step: call for call in calls if not call.is_empty}
    return last(call for call in last_of_step.values() if call.failure is not None)


def last(values: Iterable[Item | None]) -> Item | None:
    """The last value that is known."""
    return next((value for value in reversed(list(values)) if value is not None), None)


def _has_read(call: ModelCall, other: ModelCall, matched: set[tuple[int, int, str]]) -> bool:
    """Whether the other call is one of the model responses of this one: the events of an agent can hold several."""
    if call.source == other.source and call.source in _EXPLICIT:
        return False  # chat code may make the same call twice, and hand over each
    responses = call.responses()
    if other.response_id is not None and other.response_id in [response_id for response_id, _ in responses]:
        return True
    # Instrumentations do not always know the id, or the framework has one of its own. One span is one response.
    if call.source == other.source or call.step != other.step or other.source in _EXPLICIT:
        return False
    counts = other.tokens()[:2]
    for position, (_, tokens) in enumerate(responses):
        match = (id(call), position, other.source)
        if None not in counts and counts == tokens[:2] and match not in matched:
            matched.add(match)
            return True
    return False
