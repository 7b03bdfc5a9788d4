"""`make prices` stops at each disagreement of the two lists that is not decided, before it changes a file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.tools.prices.conftest import Project, decision
from tools.prices.__main__ import ALIASES, PRICES
from tools.prices.decisions import FILE
from tools.prices.docs_table import PAGE
from tools.prices.names import LISTED
from tools.prices.price import Price, PriceListError
from tools.prices.second_list import read_wheel

LARGE = ("mistral/mistral-large-latest", "mistral", "0.5/0.05/1.5")
CORRECT = decision("correct", "mistral-large-latest", "2/-/6", "0.5/0.05/1.5", ("2025-12-02", "0.5/0.05/1.5"))


def fails(project: Project, capsys: pytest.CaptureFixture[str], *lines: str) -> None:
    """Whether `make prices` fails with these lines and changes no file."""
    before = project.everything()
    assert project.make_prices() == 1
    assert capsys.readouterr().err.splitlines() == [*lines, "no file was changed"]
    assert project.everything() == before


def test_a_disagreement_that_nobody_decided_changes_no_file(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.second(LARGE, ("gpt-4o", "openai", "2.5/1.25/11"), ("o3", "openai", "2/0.5/8"))
    fails(
        project,
        capsys,
        "gpt-4o: genai-prices has 2.5/1.25/10, litellm 2.5/1.25/11: decide in seeds/decisions.toml",
        "mistral-large-latest: genai-prices has 2/-/6, litellm 0.5/0.05/1.5: decide in seeds/decisions.toml",
    )


def test_a_difference_of_one_per_cent_is_no_disagreement(project: Project) -> None:
    project.second(("gpt-4o", "openai", "2.52/1.24/9.91"))
    assert project.make_prices() == 0


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        # The cached price of the second list is a tenth, so that cached tokens would cost ten times too much.
        (("magistral-medium", "mistral", "2/0.2/5"), "magistral-medium: genai-prices has 2/-/5, litellm 2/0.2/5"),
        (("o3", "openai", "2/0.3/8"), "o3: genai-prices has 2/0.5/8, litellm 2/0.3/8"),
        # A name that only an alias or the undated rule finds.
        (("gpt-4-0613", "openai", "3/-/60"), "gpt-4-0613: genai-prices has 30/-/60, litellm 3/-/60"),
        (("o3-2025-04-16", "openai", "10/0.5/40"), "o3-2025-04-16: genai-prices has 2/0.5/8, litellm 10/0.5/40"),
    ],
)
def test_a_cached_price_and_another_name_can_disagree(
    project: Project, capsys: pytest.CaptureFixture[str], entry: tuple[str, str, str], line: str
) -> None:
    project.second(entry)
    fails(project, capsys, f"{line}: decide in seeds/decisions.toml")


@pytest.mark.parametrize(
    "entry",
    [
        ("o3", "openai", "2/-/8"),  # the second list lacks the cached price
        ("gpt-4o", "github_copilot", "1/-/1"),  # the price of somebody else
        ("bedrock/us-east-1/us.amazon.nova-pro-v1:0", "bedrock", "9/9/9"),  # the price of one region
        ("my-own-model", "openai", "9/9/9"),  # not in the seed
    ],
)
def test_only_prices_that_both_lists_have_of_the_same_seller_can_disagree(
    project: Project, entry: tuple[str, str, str]
) -> None:
    project.second(entry)
    assert project.make_prices() == 0


def test_a_correction_holds_from_its_day_on_and_the_price_of_the_list_before(project: Project) -> None:
    project.second(LARGE)
    project.decide(CORRECT)
    assert project.make_prices() == 0
    rows = [row for row in project.read(PRICES).splitlines() if row.startswith("mistral,mistral-large-latest,")]
    assert rows == [
        "mistral,mistral-large-latest,2020-01-01,2,,6,genai-prices 0.2.3 of 2026-11-10",
        'mistral,mistral-large-latest,2025-12-02,0.5,0.05,1.5,"genai-prices 0.2.3, corrected 2026-11-29"',
    ]
    # The other names of the same model keep its price.
    assert "mistral,mistral-large,2020-01-01,2,,6," in project.read(PRICES)
    assert "mistral-large-2411,mistral-large," in project.read(ALIASES)
    assert "\nmistral-large-latest," not in project.read(ALIASES)


def test_a_correction_of_a_model_leaves_its_other_names_at_the_price_of_the_list(project: Project) -> None:
    project.second(("deepseek/deepseek-reasoner", "deepseek", "0.28/0.028/0.42"))
    prices = ("2025-09-29", "0.28/0.028/0.42")
    project.decide(decision("correct", "deepseek-reasoner", "0.55/0.14/2.19", "0.28/0.028/0.42", prices))
    assert project.make_prices() == 0
    assert "deepseek,deepseek-r1,2020-01-01,0.55,0.14,2.19," in project.read(PRICES)
    assert "\ndeepseek-r1-0528,deepseek-r1," in project.read(ALIASES)


def test_a_change_that_the_list_announces_still_comes_after_a_correction(project: Project) -> None:
    project.second(("gemini/gemini-3.8-flash", "gemini", "0.5/0.05/3"))
    project.decide(
        decision("correct", "gemini-3.8-flash", "0.75/0.075/3.75", "0.5/0.05/3", ("2026-11-01", "0.5/0.05/3"))
    )
    assert project.make_prices() == 0
    rows = [row for row in project.read(PRICES).splitlines() if row.startswith("google,gemini-3.8-flash,")]
    assert [row.split(",")[2] for row in rows] == ["2020-01-01", "2026-11-01", "2027-01-01"]


def test_a_price_that_is_kept_passes_and_is_in_the_table(project: Project) -> None:
    project.second(("deepseek/deepseek-v4-pro", "deepseek", "1.32/0.044/3.96"))
    project.decide(decision("keep", "deepseek-v4-pro", "0.66/0.022/1.98", "1.32/0.044/3.96"))
    assert project.make_prices() == 0
    assert "| `deepseek-v4-pro` | 0.66/0.022/1.98 | 1.32/0.044/3.96 | 0.66/0.022/1.98 | a test" in project.read(PAGE)
    assert "deepseek,deepseek-v4-pro,2026-08-17,0.66,0.022,1.98,genai-prices" in project.read(PRICES)


@pytest.mark.parametrize(
    ("price", "line"),
    [
        (
            "0.4/0.04/1.2",
            "mistral-large-latest: decided for 2/-/6 against 0.5/0.05/1.5, "
            "now the lists have 2/-/6 against 0.4/0.04/1.2: decide again in seeds/decisions.toml",
        ),
        (
            None,
            "mistral-large-latest: decided for 2/-/6 against 0.5/0.05/1.5, now the lists have 2/-/6 against none: "
            "decide again in seeds/decisions.toml",
        ),
    ],
)
def test_a_decision_for_other_prices_has_to_be_taken_again(
    project: Project, capsys: pytest.CaptureFixture[str], price: str | None, line: str
) -> None:
    project.second(*([(LARGE[0], LARGE[1], price)] if price else []))
    project.decide(CORRECT)
    fails(project, capsys, line)


def test_a_decision_that_is_no_longer_needed_is_refused(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.second(("o3", "openai", "2/0.5/8"))
    project.decide(decision("keep", "o3", "2/0.5/8", "2/0.5/8"))
    fails(project, capsys, "o3: the lists agree on 2/0.5/8: remove it from seeds/decisions.toml")


def test_a_correction_that_the_list_has_itself_is_refused(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.second(("o3", "openai", "9/9/9"))
    project.decide(decision("correct", "o3", "2/0.5/8", "9/9/9", ("2025-07-01", "2/0.5/8")))
    fails(project, capsys, "o3: genai-prices has the same prices: remove it from seeds/decisions.toml")


def test_a_name_that_only_a_decision_has_gets_its_price(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    new = decision("correct", "mistral-next", "none", "none", ("2024-03-01", "1/-/3"))
    project.decide(new)
    fails(
        project,
        capsys,
        f"{project.root / FILE}: decision on mistral-next: name the provider of a name that genai-prices does not have",
    )
    project.decide(new + '\nprovider = "mistral"')
    assert project.make_prices() == 0
    assert 'mistral,mistral-next,2024-03-01,1,,3,"genai-prices 0.2.3, corrected 2026-11-29"' in project.read(PRICES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            decision("correct", "mistral-large-latest", "2/-/6", "none", ("2025-12-02", "litellm")),
            "litellm has no price of one of these names",
        ),
        (CORRECT.replace("2/-/6", "2,6"), "'2,6' is no price: write input/cached/output in dollars"),
        (CORRECT.replace('why = "a test"', 'why = " "'), "say why, and name a source"),
        (re.sub("source = .*", 'source = "https://example.com"', CORRECT), "source is a list of links in brackets"),
        (CORRECT.replace("decided_on = 2026-11-29", ""), "it needs action, decided_on, disputes, source, why"),
        (CORRECT.replace("2025-12-02", '"2025-12-02"'), "a day is written like 2026-11-29, without quotes"),
        (CORRECT.replace('"correct"', '"change"'), "it needs action"),
        (f"{CORRECT}\n{CORRECT}", "decided twice: mistral-large-latest"),
        ("[[decision]", "Expected"),
    ],
)
def test_a_faulty_decision_is_named_in_one_line(
    project: Project, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    project.second(LARGE)
    project.decide(text)
    before = project.everything()
    assert project.make_prices() == 1
    fault, last = capsys.readouterr().err.splitlines()
    assert message in fault
    assert str(project.root / FILE) in fault
    assert last == "no file was changed"
    assert project.everything() == before


def test_another_version_of_genai_prices_asks_for_the_day_of_its_release(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    (project.root / FILE).write_text('[price_list]\nversion = "0.0.1"\nreleased_on = 2025-01-01\n')
    assert project.make_prices() == 1
    assert "is installed: write this version and the day of its release" in capsys.readouterr().err


NOVA = ("eu.amazon.nova-pro-v1:0", "bedrock", "1.05/0.2625/4.2")


def test_a_disagreement_on_a_name_of_a_reseller_has_to_be_decided(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.second(("azure/gpt-4o", "azure", "2.5/1.25/10"), ("azure/gpt-4o-mini", "azure", "0.2/0.1/0.7"), NOVA)
    fails(
        project,
        capsys,
        "azure/gpt-4o-mini: genai-prices has 0.15/0.075/0.6, litellm 0.2/0.1/0.7: decide in seeds/decisions.toml",
        "bedrock/eu.amazon.nova-pro-v1:0: genai-prices has 0.8/0.2/3.2, litellm 1.05/0.2625/4.2: "
        "decide in seeds/decisions.toml",
    )


def test_a_decision_can_take_the_price_of_litellm_for_each_name(project: Project) -> None:
    project.second(NOVA, ("us.amazon.nova-pro-v1:0", "bedrock", "0.8/0.2/3.2"))
    project.decide(
        decision("correct", "bedrock/eu.amazon.nova-pro-v1:0", "0.8/0.2/3.2", NOVA[2], ("2020-01-01", "litellm"))
    )
    assert project.make_prices() == 0
    assert "bedrock,bedrock/eu.amazon.nova-pro-v1:0,2020-01-01,1.05,0.2625,4.2," in project.read(PRICES)
    # The name without the prefix is the same name, and that of another region is not.
    lines = project.read(ALIASES).splitlines()
    assert [line.split(",")[1] for line in lines if line.startswith("eu.amazon.nova-pro-v1:0,")] == [
        "bedrock/eu.amazon.nova-pro-v1:0"
    ]
    assert [line.split(",")[1] for line in lines if line.startswith("us.amazon.nova-pro-v1:0,")] == [
        "bedrock/amazon.nova-pro-v1:0"
    ]
    assert "| 0.8/0.2/3.2 | 1.05/0.2625/4.2 | 1.05/0.2625/4.2 from 2020-01-01 | a test" in project.read(PAGE)


def test_names_of_the_second_list_that_the_first_finds_by_a_rule_become_aliases(project: Project) -> None:
    project.second(
        ("gemini/gemini-2.0-flash-001", "gemini", "0.1/0.025/0.4"),
        ("vertex_ai/claude-3-5-sonnet-v2@20241022", "vertex_ai-anthropic_models", "3/0.3/15"),
        ("ft:gpt-4o-2024-08-06", "openai", "3.75/1.875/15"),
        ("gpt-4o-audio-preview-2025-06-03", "openai", "2.5/-/10"),
        ("GPT-4o", "openai", "2.5/1.25/10"),
    )
    assert project.make_prices() == 0
    listed = project.read(LISTED).splitlines()
    assert {"google/gemini-2.0-flash-001", "anthropic/claude-3-5-sonnet-v2@20241022"} <= set(listed)
    assert listed[1:] == sorted(listed[1:])
    aliases = {row.split(",")[0] for row in project.read(ALIASES).splitlines()}
    assert "gemini-2.0-flash-001" in aliases
    assert not {name for name in aliases if name.startswith(("ft:", "gpt-4o-audio"))}


def test_check_writes_nothing_and_fails_if_a_file_would_change(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert project.make_prices() == 0
    assert project.make_prices("--check") == 0
    text = project.read(PRICES).replace("gpt-4o-mini,2020-01-01,0.15", "gpt-4o-mini,2020-01-01,9")
    (project.root / PRICES).write_text(text)
    before = project.everything()
    assert project.make_prices("--check") == 1
    assert capsys.readouterr().err.splitlines() == ["seeds/token_prices.csv would change: run make prices"]
    assert project.everything() == before


def test_a_wheel_without_a_list_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(PriceListError, match="there must be one wheel of litellm"):
        read_wheel(tmp_path)
    (tmp_path / "litellm-1.0-py3-none-any.whl").write_text("no zip")
    with pytest.raises(PriceListError, match="has no price list: delete it, run make prices"):
        read_wheel(tmp_path)


def test_a_price_is_written_as_it_is_read() -> None:
    assert [str(Price.parse(text)) for text in ("2.50/-/10", "0.003625/0.1/100")] == ["2.5/-/10", "0.003625/0.1/100"]
