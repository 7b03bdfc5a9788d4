"""The table of usage shapes: by which fields each API reports tokens, and which of them add up to each count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from chat_telemetry._observe.fields import Fields, camel_case, names_of


@dataclass(frozen=True)
class UsageFields:
    """The usage that one API reports. A name with a dot is a field of a field."""

    api: str
    identified_by: tuple[str, ...]
    """Any of these fields identifies the shape, unless a shape before it in the table is identified."""
    input: tuple[str, ...]
    """They add up to the input tokens, cached ones included."""
    output: tuple[str, ...]
    """They add up to the output tokens, reasoning included."""
    cached: tuple[str, ...]
    """The first of these that is reported is the number of cached input tokens."""
    total: str | None = None
    """Input and output together. If it is more than their sum, the difference is reasoning, which is output."""
    other_cache_counts: tuple[str, ...] = ()
    """Parts of the input that the counts above include, or that cost the price of input tokens."""


USAGE_FIELDS = (
    UsageFields(  # candidates_token_count does not include thoughts_token_count; response_token_count: the Live API
        "gemini",
        ("prompt_token_count", "candidates_token_count", "response_token_count"),
        input=("prompt_token_count", "tool_use_prompt_token_count"),
        output=("candidates_token_count", "response_token_count", "thoughts_token_count"),
        cached=("cached_content_token_count",),
    ),
    UsageFields(  # xAI and Gemini count reasoning in the total only; DeepSeek and LiteLLM have own cache fields
        "openai_chat",
        ("prompt_tokens", "completion_tokens"),
        input=("prompt_tokens",),
        output=("completion_tokens",),
        cached=(
            "prompt_tokens_details.cached_tokens",
            "prompt_cache_hit_tokens",
            "cached_tokens",
            "cache_read_input_tokens",
        ),
        total="total_tokens",
        other_cache_counts=(
            "prompt_cache_miss_tokens",
            "cache_creation_input_tokens",
            "prompt_tokens_details.cache_write_tokens",
            "prompt_tokens_details.cache_creation_tokens",
        ),
    ),
    UsageFields(
        "openai_responses",
        ("input_tokens_details.cached_tokens",),
        input=("input_tokens",),
        output=("output_tokens",),
        cached=("input_tokens_details.cached_tokens",),
        other_cache_counts=("input_tokens_details.cache_write_tokens",),
    ),
    UsageFields(
        "openai_realtime",
        ("input_token_details.cached_tokens",),
        input=("input_tokens",),
        output=("output_tokens",),
        cached=("input_token_details.cached_tokens",),
    ),
    UsageFields(
        "langchain",
        ("input_token_details.cache_read", "input_token_details.cache_creation"),
        input=("input_tokens",),
        output=("output_tokens",),
        cached=("input_token_details.cache_read",),
        other_cache_counts=("input_token_details.cache_creation",),
    ),
    UsageFields(
        "pydantic_ai",
        ("cache_read_tokens", "cache_write_tokens"),
        input=("input_tokens",),
        output=("output_tokens",),
        cached=("cache_read_tokens",),
        other_cache_counts=("cache_write_tokens", "cache_audio_read_tokens"),
    ),
    UsageFields(  # input_tokens are those that neither came from the cache nor went into it
        "bedrock",
        ("cache_write_input_tokens",),
        input=("input_tokens", "cache_read_input_tokens", "cache_write_input_tokens"),
        output=("output_tokens",),
        cached=("cache_read_input_tokens",),
        other_cache_counts=("cache_read_input_token_count", "cache_write_input_token_count"),  # the same again
    ),
    UsageFields(  # the same
        "anthropic",
        ("input_tokens", "output_tokens"),
        input=("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"),
        output=("output_tokens",),
        cached=("cache_read_input_tokens",),
    ),
    UsageFields(
        "cohere",
        ("tokens.input_tokens", "tokens.output_tokens"),
        input=("tokens.input_tokens",),
        output=("tokens.output_tokens",),
        cached=("cached_tokens",),
    ),
    UsageFields(
        "ollama",
        ("prompt_eval_count", "eval_count"),
        input=("prompt_eval_count",),
        output=("eval_count",),
        cached=(),
    ),
)

_PATHS = {
    path
    for shape in USAGE_FIELDS
    for path in (*shape.input, *shape.output, *shape.cached, *shape.other_cache_counts, shape.total)
    if path is not None
}
_KNOWN = [{*shape.input, *shape.cached, *shape.other_cache_counts} for shape in USAGE_FIELDS]
_RANKS: dict[str, int] = {}
for _rank, _shape in enumerate(USAGE_FIELDS):
    for _name in _shape.identified_by:
        _RANKS.setdefault(_name, _rank)
IDENTIFYING = Fields(*(name for shape in USAGE_FIELDS for name in shape.identified_by if "." not in name))
"""The fields that an object has if it is the usage itself."""
_COUNTS = Fields(*sorted({path.partition(".")[0] for path in _PATHS}))
_DETAILS = Fields(*sorted({inner for path in _PATHS if (inner := path.partition(".")[2])}))
_READ = {spelling for path in _PATHS for name in path.split(".") for spelling in (name, camel_case(name))}


def counts_in(usage: object) -> dict[str, int]:
    """The counts in a usage object, by the names of the table, and all others whose names speak of a cache."""
    counts = {}
    for name, value in _COUNTS.of(usage):
        if (count := _as_count(value)) is not None:
            counts[name] = count
        else:
            for inner, inner_value in _DETAILS.of(value):
                if (count := _as_count(inner_value)) is not None:
                    counts[f"{name}.{inner}"] = count
            counts |= _unknown_cache_counts(value)
    return counts | _unknown_cache_counts(usage)


class Tokens(NamedTuple):
    """What a model call read and wrote. None if the model response does not report it."""

    input: int | None = None
    """Cached ones included."""
    output: int | None = None
    """Hidden reasoning included."""
    cached: int | None = None
    """How many of the input tokens came from the provider's cache."""


def tokens_in(counts: Mapping[str, int]) -> Tokens:
    """The tokens that these counts add up to.

    Nothing if no shape is identified, or if a count of cached tokens is not one of the shape: such a count may be
    included in the input tokens or not, and has a price of its own. So no count would be certain.
    """
    rank = min((_RANKS[name] for name in counts if name in _RANKS), default=None)
    if rank is None:
        return Tokens()
    shape = USAGE_FIELDS[rank]
    known = _KNOWN[rank]
    if any(count and name not in known for name, count in counts.items() if "cach" in name.lower()):
        return Tokens()
    read, written = _sum(counts, shape.input), _sum(counts, shape.output)
    total = counts.get(shape.total or "")
    if read is not None and written is not None and total is not None:
        written = max(written, total - read)
    return Tokens(read, written, next((counts[name] for name in shape.cached if name in counts), None))


def _unknown_cache_counts(part: object) -> dict[str, int]:
    found = {}
    for name in names_of(part):
        if name not in _READ and "cach" in name.lower():
            value = part[name] if isinstance(part, Mapping) else getattr(part, name, None)
            if (count := _as_count(value)) is not None:
                found[name] = count
    return found


def _sum(counts: Mapping[str, int], names: tuple[str, ...]) -> int | None:
    known = [counts[name] for name in names if name in counts]
    return sum(known) if known else None


def _as_count(value: Any) -> int | None:
    """Counts are integers; some JSON parsers make floats of them."""
    if type(value) is int or (type(value) is float and value.is_integer()):
        return int(value) if value >= 0 else None
    return None
