"""The colours of the page have the contrast that WCAG 2.2 asks for, computed, in light, dark and print."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

TEXT, GRAPHIC = 4.5, 3.0
# What stands on what, and the least contrast: 4.5 for text, 3 for the parts of a chart that carry a value.
PAIRS = [
    ("ink", "paper", TEXT),
    ("quiet", "paper", TEXT),
    ("alarm", "paper", TEXT),
    ("good", "paper", TEXT),
    ("now", "paper", GRAPHIC),
    ("before", "paper", GRAPHIC),
    ("old", "paper", GRAPHIC),
    ("before", "wash", GRAPHIC),
    ("ink", "wash", TEXT),
    ("q-key", "wash", TEXT),
    ("q-text", "wash", TEXT),
    ("q-note", "wash", TEXT),
]
CSS = files("chat_telemetry._cli.dashboard").joinpath("templates", "style.css").read_text(encoding="utf-8")


def schemes() -> dict[str, dict[str, str]]:
    """The variables of each colour scheme. A scheme that sets fewer has the others of the light one."""
    blocks = re.findall(r":root \{([^}]*)\}", CSS)
    assert len(blocks) == 3
    light, dark, print_ = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6})", block)) for block in blocks)
    return {"light": light, "dark": light | dark, "print": light | print_}


def luminance(colour: str) -> float:
    """https://www.w3.org/TR/WCAG22/#dfn-relative-luminance"""
    digits = colour.removeprefix("#")
    digits = digits if len(digits) == 6 else "".join(2 * digit for digit in digits)
    channels = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_the_contrast_of_black_and_white_is_21() -> None:
    assert contrast("#000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#fff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
@pytest.mark.parametrize(("front", "back", "least"), PAIRS)
def test_a_colour_can_be_told_from_what_is_behind_it(scheme: str, front: str, back: str, least: float) -> None:
    colours = schemes()[scheme]
    assert contrast(colours[front], colours[back]) >= least


def test_every_colour_is_a_variable_and_is_tested() -> None:
    outside = re.sub(r":root \{[^}]*\}", "", CSS)
    assert not re.search(r"#[0-9a-f]{3,8}\b|rgba?\(|hsla?\(", outside)
    used = set(re.findall(r"var\(--([\w-]+)\)", CSS))
    # Rules and bands carry no value: the lines at their edges do.
    assert used - {name for pair in PAIRS for name in pair[:2]} == {"rule", "band", "band-far"}
