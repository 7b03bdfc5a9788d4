"""The committed seeds are those of the locked price list, the decisions and the names, and own rows stay in them."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest

from tests.tools.prices.conftest import Project
from tests.tools.prices.matching import aliases, price_of, rows
from tools.prices.__main__ import ALIASES, PRICES, ROOT, seed_texts
from tools.prices.decisions import FILE, read_decisions
from tools.prices.genai_list import MAKERS, RESELLERS, VERSION
from tools.prices.names import ADDED, LISTED, read_names
from tools.prices.price import Price


def test_the_committed_seeds_equal_those_of_the_locked_price_list() -> None:
    """Without the second list: it only decides which names are in the file of names, and which decisions are needed."""
    texts = seed_texts(ROOT, read_names(ROOT, LISTED, ADDED), read_decisions(ROOT / FILE, VERSION))
    for file, text in texts.items():
        assert text == (ROOT / file).read_text(encoding="utf-8"), f"run make prices: {file}"


def test_it_prints_one_line_per_file_with_what_changed(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert project.make_prices() == 0
    text = project.read(PRICES).replace("gpt-4o-mini,2020-01-01,0.15", "gpt-4o-mini,2020-01-01,9", 1)
    (project.root / PRICES).write_text(text, encoding="utf-8")
    capsys.readouterr()
    assert project.make_prices() == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in lines] == [str(PRICES), str(ALIASES), str(LISTED), "docs/reports.md"]
    assert lines[0].endswith(", 1 new, 1 gone")
    assert all(line.endswith(", 0 new, 0 gone") for line in lines[1:])


@pytest.mark.parametrize(
    ("model", "day", "expected"),
    [
        ("gpt-4o-mini", "2026-11-22", "0.15/0.075/0.6"),
        ("gpt-4o", "2026-11-22", "2.5/1.25/10"),
        ("gpt-4o-2024-05-13", "2026-11-22", "5/-/15"),
        ("o3", "2025-06-09", "10/0.5/40"),
        ("o3", "2025-06-10", "2/0.5/8"),
        # The price of seventeen hours of a day; in the other seven it is twice as high.
        ("deepseek-v4-flash", "2026-11-22", "0.15/0.003/0.6"),
        # The lower price, for prompts of up to 200,000 tokens.
        ("gemini-2.5-pro", "2026-11-22", "1.25/0.125/10"),
        # Corrections, on the last day of the old price and on the first day of the new one.
        ("mistral-large-latest", "2025-12-01", "2/-/6"),
        ("mistral-large-latest", "2025-12-02", "0.5/0.05/1.5"),
        ("mistral-large-latest", "2026-11-24", "0.5/0.05/1.5"),
        ("mistral-large-2411", "2026-05-06", "2/-/6"),
        ("mistral-large-2411", "2026-05-07", "2/0.2/6"),
        ("mistral-large-2407", "2026-11-24", "2/-/6"),
        ("deepseek-chat", "2025-09-05", "0.27/0.07/1.1"),
        ("deepseek-chat", "2025-09-28", "0.56/0.07/1.68"),
        ("deepseek-chat", "2026-01-31", "0.28/0.028/0.42"),
        ("deepseek-chat", "2026-11-24", "0.28/0.028/0.42"),
        ("deepseek-reasoner", "2026-11-24", "0.28/0.028/0.42"),
        ("deepseek-r1-0528", "2026-11-24", "0.55/0.14/2.19"),
        ("grok-code-fast-1", "2026-05-14", "0.2/0.02/1.5"),
        ("grok-code-fast", "2026-05-15", "1/0.2/2"),
        ("grok-4", "2026-05-14", "3/0.75/15"),
        ("grok-4", "2026-05-15", "1.25/0.2/2.5"),
        ("grok-3-latest", "2026-11-24", "1.25/0.2/2.5"),
        ("grok-3-mini-fast-beta", "2026-11-24", "1.25/0.2/2.5"),
        ("grok-4-1-fast", "2026-05-14", "0.2/0.05/0.5"),
        ("grok-4-fast-non-reasoning-latest", "2026-11-24", "1.25/0.2/2.5"),
        ("grok-4.20-non-reasoning", "2026-04-29", "2/0.2/6"),
        ("grok-4.20-reasoning", "2026-11-24", "1.25/0.2/2.5"),
        ("gemini-1.5-pro", "2025-01-01", "1.25/0.3125/5"),
        ("vertex_ai/gemini-1.5-pro-002", "2025-01-01", "1.25/0.3125/5"),
        ("gemini-2.5-flash-preview-04-17", "2025-05-07", "0.15/-/0.6"),
        ("gemini-2.5-flash-preview-05-20", "2025-06-01", "0.15/0.0375/0.6"),
        ("gemini-2.5-flash-preview-05-20:thinking", "2025-06-01", "0.15/0.0375/3.5"),
        ("gemini-2.0-flash-lite", "2025-06-01", "0.075/-/0.3"),
        ("deepseek-v3.2-exp", "2025-10-01", "0.28/0.028/0.42"),
        ("magistral-small-latest", "2026-06-01", "0.5/0.05/1.5"),
        ("mistral-medium", "2026-11-24", "1.5/0.15/7.5"),
        ("mistral-medium-2508", "2026-11-24", "0.4/0.04/2"),
        ("open-mistral-nemo", "2026-11-24", "0.15/0.015/0.15"),
        ("codestral-latest", "2026-11-24", "0.3/0.03/0.9"),
        ("devstral-small-latest", "2026-11-24", "0.1/0.01/0.3"),
        ("mistral-tiny", "2026-11-24", "0.25/0.025/0.25"),
        # The reseller's price, not the maker's.
        ("bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0", "2026-11-24", "3.3/0.33/16.5"),
        ("global.anthropic.claude-sonnet-4-5-20250929-v1:0", "2026-11-24", "3/0.3/15"),
        ("openrouter/deepseek/deepseek-v3.2", "2026-11-24", "0.26/0.13/0.38"),
        ("azure/gpt-4o", "2026-11-24", "2.5/1.25/10"),
        ("azure/gpt-4-turbo", "2026-11-24", "10/-/30"),
        ("azure_ai/deepseek-r1", "2026-11-24", "1.35/-/5.4"),
        ("azure_ai/deepseek-v4-flash", "2026-11-24", "0.19/0.028/0.51"),
        ("vertex_ai/gemini-2.0-flash-001", "2026-01-01", "0.15/0.0375/0.6"),
        ("gemini-2.0-flash-001", "2026-01-01", "0.1/0.025/0.4"),
        ("vertex_ai/claude-3-5-haiku@20241022", "2026-01-01", "0.8/0.08/4"),
        # Bedrock's region is a part of the id, which is logged with and without a prefix.
        ("bedrock/eu.amazon.nova-pro-v1:0", "2026-11-24", "1.05/0.2625/4.2"),
        ("eu.amazon.nova-pro-v1:0", "2026-11-24", "1.05/0.2625/4.2"),
        ("us.amazon.nova-pro-v1:0", "2026-11-24", "0.8/0.2/3.2"),
        ("us-gov.anthropic.claude-sonnet-5", "2026-11-24", "2.4/0.24/12"),
        ("openrouter/qwen/qwen3-coder", "2026-11-24", "0.3/0.1/1"),
        # The list has a cached price above the input price.
        ("openrouter/~deepseek/deepseek-pro-latest", "2026-11-24", "0.225/-/8"),
    ],
)
def test_a_model_has_its_price_of_the_day(model: str, day: str, expected: str) -> None:
    assert price_of(model, dt.date.fromisoformat(day)) == Price.parse(expected)


def test_each_price_is_a_positive_one_of_its_day_and_cached_input_costs_no_more() -> None:
    prices = rows(PRICES)
    assert {row["provider"] for row in prices} == {*MAKERS, *RESELLERS}
    assert len({(row["model"], dt.date.fromisoformat(row["valid_from"])) for row in prices}) == len(prices)
    for row in prices:
        full = Decimal(row["input_usd_per_mtok"])
        assert 0 < Decimal(row["cached_input_usd_per_mtok"] or full) <= full, row
        assert Decimal(row["output_usd_per_mtok"]) > 0, row


def test_each_price_of_a_model_is_by_the_same_provider_and_of_the_list() -> None:
    """An own price is one whose source does not begin with `genai-prices `, and these are none."""
    providers = {(row["model"], row["provider"]) for row in rows(PRICES)}
    assert len(providers) == len({model for model, _ in providers})
    assert {row["source"] for row in (*rows(PRICES), *rows(ALIASES))} == {
        "genai-prices 0.2.3 of 2026-11-10",
        "genai-prices 0.2.3, corrected 2026-11-29",
    }


def test_each_alias_leads_to_a_priced_model_and_hides_none() -> None:
    models = {row["model"] for row in rows(PRICES)}
    assert len(aliases()) == len(rows(ALIASES))
    assert set(aliases().values()) <= models
    assert not set(aliases()) & models
    assert aliases()["claude-sonnet-4"] == "claude-sonnet-4-0"


def test_the_rule_for_prefixes_makes_aliases_with_a_prefix_of_a_maker_superfluous() -> None:
    of_makers = ("openai/", "anthropic/", "gemini/", "google/", "models/", "xai/", "x-ai/", "mistral/", "deepseek/")
    assert not [name for name in aliases() if name.startswith(of_makers)]


def test_own_rows_stay_and_replace_those_of_the_list(project: Project) -> None:
    own = [
        "in-house,in-house-llm-7b,2026-01-01,0.02,,0.05,our cluster",
        "openai,gpt-4o-mini,2020-01-01,0.1,0.05,0.4,our contract",
    ]
    with (project.root / PRICES).open("a", encoding="utf-8") as file:
        file.write("\n".join(own) + "\n")
    with (project.root / ALIASES).open("a", encoding="utf-8") as file:
        file.write("llm-7b,in-house-llm-7b,our cluster\n")
    assert project.make_prices() == 0
    lines = project.read(PRICES).splitlines()
    assert set(own) <= set(lines)
    assert len([line for line in lines if line.startswith("openai,gpt-4o-mini,")]) == 1
    assert "llm-7b,in-house-llm-7b,our cluster" in project.read(ALIASES).splitlines()


@pytest.mark.parametrize(
    ("file", "row", "message"),
    [
        (PRICES, "us,a,2026-01-01,1,2,1,us", "cached input costs more"),
        (PRICES, "us,a,2026-01-01,1,,-1,us", "a price is negative"),
        (PRICES, "us,a,01/02/2026,1,,1,us", "Invalid isoformat string"),
        (PRICES, 'us,a,2026-01-01,"0,5",,1,us', "no number"),
        (PRICES, "us,a,2026-01-01,nan,,1,us", "no number"),
        (PRICES, "us,a,2026-01-01,1,,1,us\nus,a,2026-01-01,1,,2,them", "a has two own prices from 2026-01-01"),
        (PRICES, "us,a,2026-01-01", "expected 7 values"),
        (ALIASES, "b,no-such-model,us", "leads to no-such-model, which has no price"),
        (ALIASES, "gpt-4o,gpt-4o-mini,us", "is a model with a price"),
        (ALIASES, "gpt-4o,us", "expected 3 values"),
    ],
)
def test_a_row_that_would_make_a_report_wrong_is_refused(
    project: Project, capsys: pytest.CaptureFixture[str], file: Path, row: str, message: str
) -> None:
    path = project.root / file
    path.write_text(path.read_text(encoding="utf-8") + row + "\n", encoding="utf-8")
    before = project.everything()
    assert project.make_prices() == 1
    fault, last = capsys.readouterr().err.splitlines()
    assert message in fault
    assert last == "no file was changed"
    assert project.everything() == before


def test_a_seed_with_columns_in_another_order_is_refused(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    path = project.root / PRICES
    path.write_text(path.read_text(encoding="utf-8").replace("provider,model,", "model,provider,", 1), encoding="utf-8")
    assert project.make_prices() == 1
    fault, _ = capsys.readouterr().err.splitlines()
    assert fault.startswith("token_prices.csv:1: the first line must be provider,model,valid_from,")
