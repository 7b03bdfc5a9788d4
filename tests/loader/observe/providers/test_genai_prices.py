"""The same tokens as genai-prices, a list of prices with readers of its own, wherever both know the shape."""

from __future__ import annotations

import pytest
from genai_prices.data import providers

from tests.loader.observe.providers.conftest import EXPECTED, read, whole

# By capture: the provider of genai-prices and, if it has several, the name of the shape.
SHAPES = {
    "anthropic": ("anthropic", "default"),
    "bedrock": ("aws", "default"),
    "cohere": ("cohere", "tokens"),
    "gemini": ("google", "default"),
    "groq": ("groq", "default"),
    "openai_chat": ("openai", "chat"),
    "openai_realtime": ("openai", "realtime"),
    "openai_responses": ("openai", "responses"),
    "xai": ("x-ai", "chat"),
}


@pytest.mark.parametrize("api", SHAPES)
def test_the_tokens_are_those_of_genai_prices(api: str) -> None:
    provider_id, flavor = SHAPES[api]
    provider = next(provider for provider in providers if provider.id == provider_id)
    _, usage = provider.extract_usage(whole(api), api_flavor=flavor)
    tokens = (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens)
    assert read(whole(api))[2:] == tokens


def test_each_shape_that_it_does_not_know_has_a_reason() -> None:
    others = {
        "deepseek": "reads only the cached tokens of OpenAI's field",
        "gemini_openai": "does not count reasoning that only the total includes",
        "langchain": "a framework",
        "ollama": "free",
        "pydantic_ai": "a framework",
    }
    assert {*SHAPES, *others} == {*EXPECTED}
