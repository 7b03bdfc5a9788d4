"""Each name that occurs in logs finds the price of its maker or reseller, and no name finds one by guess."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from genai_prices.data import providers

from tests.tools.prices.matching import aliases, find, price_of, rows
from tools.prices.__main__ import PRICES, ROOT
from tools.prices.genai_list import MAKERS, PROVIDERS, is_chat, price_of_most_hours
from tools.prices.names import ADDED, LISTED, read_names
from tools.prices.price import PriceListError

TODAY = dt.date(2026, 11, 29)
# Names by the way in which they find a price.
PRICED = {
    "exact": """
        gpt-4o gpt-4o-2024-05-13 o3-deep-research o4-mini-deep-research claude-3-opus-latest mistral-large-latest
        azure/gpt-4o bedrock/anthropic.claude-3-5-sonnet-20241022-v2:0 vertex_ai/gemini-2.5-pro
        openrouter/anthropic/claude-sonnet-4 claude-instant-1.2 gemini-1.5-flash-8b ministral-3b-latest
        openrouter/meta-llama/llama-3.3-70b-instruct openrouter/qwen/qwen3-coder openrouter/amazon/nova-pro-v1
        openrouter/moonshotai/kimi-k2 openrouter/z-ai/glm-4.6 openrouter/google/gemma-3-27b-it
        openrouter/~anthropic/claude-sonnet-latest azure/gpt-4-turbo azure_ai/grok-3-mini
        azure_ai/DeepSeek-V4-Flash-0731 vertex_ai/gemini-2.0-flash vertex_ai/claude-3-5-haiku
        azure/gpt-4-32k vertex_ai/gemini-2.5-flash-lite bedrock/eu.amazon.nova-pro-v1:0 mistral-large-2407
        bedrock/us-gov.anthropic.claude-sonnet-5 grok-4.20-reasoning grok-4.20-non-reasoning-latest
        gemini-2.5-flash-preview:thinking
    """,
    "alias": """
        gemini-2.0-flash-001 gemini-1.5-pro-001 gemini-1.5-pro-002 gemini-1.5-flash-002 gemini-2.0-flash-lite-001
        gemini-2.5-pro-preview-03-25 gemini-2.5-pro-preview-05-06 gemini-2.5-pro-preview-06-05
        gemini-2.5-flash-preview-04-17 gemini-2.5-flash-preview-05-20 gemini-2.0-flash-exp gemini-flash-latest
        claude-3-5-sonnet-latest claude-3-5-sonnet-v2 claude-3-7-sonnet-20250219:thinking claude-2.1
        gpt-4-turbo-preview gpt-4-0125-preview gpt-4-0613 gpt-3.5-turbo-0125 gpt-5-chat-latest
        mistral-large-2411 ministral-8b-2410 magistral-medium-2509 open-mixtral-8x7b
        grok-3-mini-fast-latest grok-4 us.anthropic.claude-sonnet-4-5-20250929-v1:0 azure/gpt-5-codex
        eu.amazon.nova-pro-v1:0 us-gov.anthropic.claude-sonnet-5 vertex_ai/gemini-2.0-flash-001 grok-3-mini-latest
        azure/gpt-4-0613 vertex_ai/gemini-2.5-pro-preview-06-05 vertex_ai/gemini-2.5-flash-preview-05-20
        bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0
        vertex_ai/claude-opus-4-6@default us.anthropic.claude-3-haiku-20240307-v1:0 vertex_ai/gemini-1.5-pro-002
    """,
    "undated": """
        gpt-4o-mini-2024-07-18 o4-mini-2025-04-16 o4-mini-deep-research-2025-06-26 claude-3-5-sonnet-v2@20241022
        claude-opus-4@20250514 claude-sonnet-4-5-20250929 azure/gpt-4o-2024-08-06 gpt-5.2-20251211
        vertex_ai/claude-opus-4-5@20251101 vertex_ai/claude-3-5-haiku@20241022 gpt-4o-2024-08-06 claude-3-haiku-20240307
    """,
    "prefix": """
        anthropic/claude-sonnet-4-20250514 anthropic/claude-3-7-sonnet-20250219 anthropic/claude-3-5-haiku-20241022
        anthropic/claude-opus-4-20250514 openai/gpt-4-0613 openai/gpt-3.5-turbo-0125 openai/gpt-5-chat-latest xai/grok-4
        x-ai/grok-4-latest mistral/mistral-large-latest gemini/gemini-flash-latest google/gemini-2.5-pro
        models/gemini-2.0-flash-001 deepseek/deepseek-chat openai/gpt-4o-2024-05-13 openai/gpt-4o-2024-08-06
    """,
}
NEVER = """
    ft:gpt-4o-2024-08-06:acme::abc ft:gpt-4o-mini-2024-07-18:acme::abc ft:gpt-4o-2024-08-06 ft:gpt-3.5-turbo
    openai/ft:gpt-4o-2024-08-06:acme::abc gpt-4o-2024-08-06-preview gpt-4o-2024-08-06:thinking gpt-4o:thinking GPT-4o
    Claude-3-5-sonnet-latest gpt-4o-audio-preview gpt-4o-realtime-preview gpt-4o-transcribe gpt-4o-mini-tts gpt-4o-foo
    gpt-5-nano-foo o3-deep-research-foo claude-3-5-sonnet-foo claude-opus-4-5-foo gemini-2.0-flash-foo
    gemini-2.5-pro-foo gemini-2.5-pro-preview-tts gemini-2.0-flash-live-001 grok-4-foo mistral-large-foo
    deepseek-chat-foo text-embedding-3-small anthropic/gpt-4o openai/claude-3-5-sonnet-latest mistral/deepseek-chat
    bedrock/gpt-4o
    azure/ft:gpt-4o azure/eu/gpt-4o vertex_ai/gpt-4o bedrock/amazon.nova-foo-v1:0 openrouter/gpt-4o-foo
    openrouter/qwen/qwen3-coder:free openrouter/openai/gpt-4o:batch openrouter/meta-llama/llama-foo
    openai/azure/gpt-4o unknown/gpt-4o gpt gemini claude
"""


def logged(file: Path) -> list[str]:
    """The names in a file as they are logged: those of makers bare, those of resellers with the prefix."""
    names = read_names(ROOT, file)
    return [
        name if seller in MAKERS else f"{seller}/{name}" for seller in sorted(names) for name in sorted(names[seller])
    ]


@pytest.mark.parametrize(
    ("price_match", "name"), [(match, name) for match, names in PRICED.items() for name in names.split()]
)
def test_a_name_that_occurs_in_logs_is_priced(price_match: str, name: str) -> None:
    match = find(name)
    assert match
    assert match.price_match == price_match
    assert price_of(name, TODAY)


@pytest.mark.parametrize("name", NEVER.split())
def test_no_name_gets_a_price_by_guess(name: str) -> None:
    assert find(name) is None


def test_blanks_at_the_ends_do_not_matter_and_blanks_inside_do() -> None:
    assert find(" gpt-4o\n") == find("gpt-4o")
    assert find("gpt -4o") is None


def test_every_name_that_people_added_is_priced() -> None:
    """A line that genai-prices finds no model for would be a promise that nobody keeps."""
    assert len(logged(ADDED)) > 90
    assert [name for name in logged(ADDED) if price_of(name, TODAY) is None] == []


def test_every_listed_name_is_priced() -> None:
    assert len(logged(LISTED)) > 500
    assert [name for name in logged(LISTED) if price_of(name, TODAY) is None] == []


def test_every_chat_model_of_openrouter_is_priced() -> None:
    models = [f"openrouter/{model.id}" for model in PROVIDERS["openrouter"].models if is_chat(model)]
    assert len(models) > 600
    assert [name for name in models if price_of(name, TODAY) is None] == []


def test_an_alias_has_the_price_that_genai_prices_gives_its_name() -> None:
    """The seed says the same as the list itself, apart from other names of a model that is corrected."""
    makers = {provider.id: provider for provider in providers if provider.id in MAKERS}
    corrected = {row["model"] for row in rows(PRICES) if "corrected" in row["source"]}
    different = []
    for name in {alias for alias, model in aliases().items() if model not in corrected}:
        found = [model for provider in makers.values() if (model := provider.find_model(name))]
        if found and "/" not in name and "." not in name.split("-", maxsplit=1)[0]:
            different += [name] if price_of(name, TODAY) != price_of_most_hours(found[0], TODAY) else []
    assert different == []


def test_a_line_without_maker_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "names.txt"
    file.write_text("# a comment\n\nopenai/gpt-4o\ngpt-4o\n")
    with pytest.raises(
        PriceListError, match=r"names.txt:4: write the maker or reseller and the name, like openai/gpt-4o"
    ):
        read_names(tmp_path, Path("names.txt"))
