"""`make prices` writes the committed seeds, keeps the user's own rows, and checks what the reports rely on."""

from __future__ import annotations

import csv
import datetime as dt
import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SEEDS = ("token_prices.csv", "model_aliases.csv")


def update_prices(output: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "tools" / "update_prices.py", "--output", output],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    """A copy of the committed seeds."""
    for name in SEEDS:
        shutil.copy(ROOT / "seeds" / name, tmp_path / name)
    return tmp_path


def test_the_committed_seeds_equal_those_of_the_locked_price_list(tmp_path: Path) -> None:
    result = update_prices(tmp_path)
    assert result.returncode == 0, result.stderr
    for name in SEEDS:
        assert (tmp_path / name).read_bytes() == (ROOT / "seeds" / name).read_bytes(), f"run make prices: {name}"


def test_it_prints_one_line_per_file_with_what_changed(seeds: Path) -> None:
    prices = seeds / "token_prices.csv"
    prices.write_text(
        prices.read_text(encoding="utf-8").replace("gpt-4o-mini,2020-01-01,0.15", "gpt-4o-mini,2020-01-01,9")
    )
    lines = update_prices(seeds).stdout.splitlines()
    assert len(lines) == 2
    assert lines[0].endswith(", 1 new, 1 gone")
    assert lines[1].endswith(", 0 new, 0 gone")


@pytest.mark.parametrize(
    ("model", "day", "expected"),
    [
        ("gpt-4o-mini", "2026-11-22", ("0.15", "0.075", "0.6")),
        ("gpt-4o", "2026-11-22", ("2.5", "1.25", "10")),
        ("gpt-4o-2024-05-13", "2026-11-22", ("5", "", "15")),
        ("o3", "2025-06-09", ("10", "0.5", "40")),
        ("o3", "2025-06-10", ("2", "0.5", "8")),
        # The price of seventeen hours of a day; in the other seven it is twice as high.
        ("deepseek-v4-flash", "2026-11-22", ("0.15", "0.003", "0.6")),
        # The lower price, for prompts of up to 200,000 tokens.
        ("gemini-2.5-pro", "2026-11-22", ("1.25", "0.125", "10")),
    ],
)
def test_a_model_has_its_price_of_the_day(model: str, day: str, expected: tuple[str, str, str]) -> None:
    in_force = [
        row for row in rows(ROOT / "seeds" / "token_prices.csv") if row["model"] == model and row["valid_from"] <= day
    ]
    latest = max(in_force, key=lambda row: row["valid_from"])
    columns = ("input_usd_per_mtok", "cached_input_usd_per_mtok", "output_usd_per_mtok")
    assert tuple(latest[column] for column in columns) == expected


def test_each_price_is_a_positive_one_of_its_day_and_cached_input_costs_no_more() -> None:
    prices = rows(ROOT / "seeds" / "token_prices.csv")
    assert len(prices) > 100
    assert {row["provider"] for row in prices} == {"anthropic", "deepseek", "google", "mistral", "openai", "x-ai"}
    assert len({(row["model"], dt.date.fromisoformat(row["valid_from"])) for row in prices}) == len(prices)
    for row in prices:
        full = Decimal(row["input_usd_per_mtok"])
        assert 0 < Decimal(row["cached_input_usd_per_mtok"] or full) <= full, row
        assert Decimal(row["output_usd_per_mtok"]) > 0, row


def test_each_alias_leads_to_a_priced_model_and_hides_none() -> None:
    models = {row["model"] for row in rows(ROOT / "seeds" / "token_prices.csv")}
    aliases = {row["alias"]: row["model"] for row in rows(ROOT / "seeds" / "model_aliases.csv")}
    assert len(aliases) == len(rows(ROOT / "seeds" / "model_aliases.csv"))
    assert set(aliases.values()) <= models
    assert not set(aliases) & models
    # A name with a provider's prefix and a date must not get the price of the undated, cheaper model.
    assert aliases["openai/gpt-4o-2024-05-13"] == "gpt-4o-2024-05-13"
    assert aliases["claude-sonnet-4"] == "claude-sonnet-4-0"
    assert aliases["models/gemini-2.5-flash"] == "gemini-2.5-flash"


def test_own_rows_stay_and_replace_those_of_the_list(seeds: Path) -> None:
    own = [
        "in-house,in-house-llm-7b,2026-01-01,0.02,,0.05,our cluster",
        "openai,gpt-4o-mini,2020-01-01,0.1,0.05,0.4,our contract",
    ]
    with (seeds / "token_prices.csv").open("a", encoding="utf-8") as file:
        file.write("\n".join(own) + "\n")
    with (seeds / "model_aliases.csv").open("a", encoding="utf-8") as file:
        file.write("llm-7b,in-house-llm-7b,our cluster\n")
    assert update_prices(seeds).returncode == 0
    text = (seeds / "token_prices.csv").read_text(encoding="utf-8")
    assert all(row in text for row in own)
    assert len([row for row in rows(seeds / "token_prices.csv") if row["model"] == "gpt-4o-mini"]) == 1
    assert "llm-7b,in-house-llm-7b,our cluster" in (seeds / "model_aliases.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "row", "message"),
    [
        ("token_prices.csv", "us,a,2026-01-01,1,2,1,us", "cached input costs more"),
        ("token_prices.csv", "us,a,2026-01-01,1,,-1,us", "a price is negative"),
        ("model_aliases.csv", "b,no-such-model,us", "leads to no priced model"),
        ("model_aliases.csv", "gpt-4o,gpt-4o-mini,us", "hides one"),
    ],
)
def test_a_row_that_would_make_a_report_wrong_is_refused(seeds: Path, name: str, row: str, message: str) -> None:
    before = (seeds / name).read_text(encoding="utf-8") + row + "\n"
    (seeds / name).write_text(before, encoding="utf-8")
    result = update_prices(seeds)
    assert result.returncode == 1
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert (seeds / name).read_text(encoding="utf-8") == before
