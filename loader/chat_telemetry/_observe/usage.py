"""Reads model, response id, tokens and reported failures from the model responses of many packages.

It imports none of these packages. It recognizes whole responses and chunks of streams by their fields, as objects and
as dicts: `usage_fields` has the table of shapes.
"""

from __future__ import annotations

from collections.abc import Iterable

from chat_telemetry._observe.fields import Fields, at, items, text_at
from chat_telemetry._observe.reported_failure import CANCELLED, failure_of, status_of
from chat_telemetry._observe.usage_fields import IDENTIFYING, Tokens, counts_in, tokens_in

_IDENTITY = Fields("model", "model_version", "model_name", "response_id", "provider_response_id", "id")
# The fields that hold usage. If a response has several, for example LangChain's messages, the first one counts.
_USAGE = ("usage_metadata", "usage", "token_usage")
# The fields that hold the model response or a part of it: events of OpenAI's Responses and realtime API, of Anthropic,
# of OpenAI's streaming helper, llama-index and LangChain with the provider's response, LangChain's messages, Cohere's
# and Mistral's events.
_ENVELOPES = ("response", "message", "chunk", "raw", "response_metadata", "delta", "data")
# Those with usage, but without the model: Bedrock's and Groq's last events.
_USAGE_ENVELOPES = ("metadata", "x_groq")
# Those whose `id` is that of the response, although they need not name the model.
_WITH_ID = ("response", "response_metadata")
_CONTENT = Fields(*_USAGE, *_ENVELOPES, *_USAGE_ENVELOPES, "status", "error", "code")
_NO_CHAT = Fields("embedding", "embeddings", "data", "results")
_ANSWERS_OF_OTHER_MODELS = ("embedding", "flagged", "relevance_score")
_DEEPEST = 3
_COMPLETED = "response.completed"
"""The last event of a response. openai-agents makes it for other APIs as well, with a response that has no status."""
# openai-agents gives this id to responses that have none.
_NO_IDS = {"__fake_id__"}
# The events of LangChain's astream_events hold each message several times, and those of several model calls. Its
# callbacks, which the handler reads, have each model call once.
_LANGCHAIN_EVENT = "on_"

_Counts = dict[str, dict[str, int]]
"""What one model response reports, by the field that holds it."""


class ModelCall:
    """One model call, read from its model response or from those chunks of its stream that have arrived.

    The events of an agent can hold several model responses, one after the other. Their tokens add up.
    """

    def __init__(self, source: str = "usage", step: str | None = None) -> None:
        self.source = source
        """Who reads it: chat code by `usage` or `stream`, or an integration."""
        self.step = step
        """The step that it counts for. None: outside of all steps."""
        self.model: str | None = None
        self.response_id: str | None = None
        self.failure: str | None = None
        """What the provider reports instead of raising: the status, and the reason if there is one."""
        self._counts: _Counts = {}
        self._earlier: list[tuple[str | None, _Counts]] = []
        self._has_ended = False

    def read(self, part: object) -> None:
        """Read a model response or a chunk. A later chunk overrides an earlier one: streams report running totals.

        The model is the one that is named first. Embeddings, moderations and rankings are not read: a step is named
        after the model that wrote, and priced by it.
        """
        if self.model is None and _is_of_other_model(part):
            return
        if type(part) is dict and str(part.get("event")).startswith(_LANGCHAIN_EVENT):
            return
        self._read(part, 1)
        if not self._counts and IDENTIFYING.of(part):
            self._add_usage("itself", part)

    @property
    def column_prefix(self) -> str:
        """The prefix of the columns for which it counts."""
        return "response" if self.step in (None, "response_generation") else "sql"

    @property
    def is_empty(self) -> bool:
        """Whether nothing was read."""
        return self.model is None and self.failure is None and not self._counts and not self._earlier

    @property
    def is_cancelled(self) -> bool:
        """Whether the provider reports that the response was cancelled."""
        return self.failure is not None and self.failure.startswith(CANCELLED)

    def tokens(self) -> Tokens:
        """What was read and written, as far as the model responses report it."""
        if not self._earlier:
            return _tokens_of(self._counts)
        return Tokens(*(total(counts) for counts in zip(*(tokens for _, tokens in self.responses()), strict=True)))

    def responses(self) -> list[tuple[str | None, Tokens]]:
        """The id and the tokens of each model response."""
        return [(id_, _tokens_of(counts)) for id_, counts in (*self._earlier, (self.response_id, self._counts))]

    def complete_from(self, other: ModelCall) -> None:
        """Take over what only the other one knows of the same model call."""
        self.model = self.model or other.model
        self.response_id = self.response_id or other.response_id
        if self.tokens() == Tokens():
            self._counts = other._counts

    def _read(
        self, part: object, depth: int, *, wants_usage: bool = True, has_id: bool = False, is_response: bool = False
    ) -> None:
        if self.model is None or self.response_id is None or self._has_ended:
            self._read_identity(part, has_id=has_id)
        found = _CONTENT.of(part)
        has_usage = any(name in _USAGE for name, _ in found)
        for name, value in found:
            if name in _USAGE:
                if wants_usage:
                    # Each chunk of LangChain reports a part of the usage; all others report running totals.
                    adds_up = name == "usage_metadata" and at(part, "type") == "AIMessageChunk"
                    self._add_usage(name, value, adds_up=adds_up)
            elif name in _USAGE_ENVELOPES:
                if (usage := at(value, "usage")) is not None:
                    self._add_usage("usage", usage)
            elif name in _ENVELOPES:
                if depth < _DEEPEST and type(value) is not str:
                    # Usage of the whole is not overridden by that of a part.
                    wanted = wants_usage and not has_usage
                    event = text_at(part, "type") if name == "response" else None
                    is_inner = event is not None and event.startswith("response.")
                    self._read(value, depth + 1, wants_usage=wanted, has_id=name in _WITH_ID, is_response=is_inner)
                    if event == _COMPLETED:
                        self._has_ended = True
            else:
                self._read_failure(part, is_response=is_response)

    def _read_identity(self, part: object, *, has_id: bool) -> None:
        found = {name: value for name, value in _IDENTITY.of(part) if isinstance(value, str) and value}
        model = found.get("model") or found.get("model_version") or found.get("model_name")
        response_id = found.get("response_id") or found.get("provider_response_id")
        if response_id is None and (model or has_id):  # the `id` of anything else is not that of a response
            response_id = found.get("id")
        is_other = response_id not in (None, self.response_id)
        if response_id in _NO_IDS:
            response_id = None
        if self._has_ended and is_other:
            self._earlier.append((self.response_id, self._counts))
            self._counts, self.response_id, self._has_ended = {}, None, False
        self.model = self.model or model
        self.response_id = self.response_id or response_id

    def _add_usage(self, holder: str, usage: object, *, adds_up: bool = False) -> None:
        counts = counts_in(usage)
        if counts:
            known = self._counts.setdefault(holder, {})
            for name, count in counts.items():
                known[name] = count + (known.get(name, 0) if adds_up else 0)

    def _read_failure(self, part: object, *, is_response: bool) -> None:
        status = status_of(part, is_response=is_response)
        if status is not None:
            self._has_ended = True
        if status == "completed":
            self.failure = None
        elif (failure := failure_of(part, status)) is not None:
            self.failure = failure


def model_responses(response: object) -> Iterable[object]:
    """The model responses in a result of openai-agents or instructor, otherwise the object itself."""
    if responses := items(at(response, "raw_responses")):
        return responses
    # instructor adds it to an object whose class does not know it.
    return (getattr(response, "__dict__", {}).get("_raw_response", response),)


def _tokens_of(counts: _Counts) -> Tokens:
    """The tokens of one model response, all from one field."""
    holder = next((name for name in (*_USAGE, "itself") if name in counts), None)
    return tokens_in(counts[holder]) if holder is not None else Tokens()


def _is_of_other_model(part: object) -> bool:
    for name, value in _NO_CHAT.of(part):
        if name.startswith("embedding"):
            return True
        if (first := next(iter(items(value)), None)) is not None:
            return any(at(first, answer) is not None for answer in _ANSWERS_OF_OTHER_MODELS)
    return False


def total(counts: Iterable[int | None]) -> int | None:
    """The sum of the counts that are known. None if none is."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
