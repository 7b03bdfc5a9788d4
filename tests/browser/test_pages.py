"""The dashboard in a browser: nothing is loaded, logged or cut off, and everybody can read it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from chat_telemetry._cli.dashboard.page import render
from tests.cli.dashboard.scenes import SCENES, usual

Scheme = Literal["light", "dark"]
LAYOUTS: list[tuple[int, Scheme]] = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]
AUDITED = LAYOUTS[:1] + LAYOUTS[-1:]
NARROWEST = 320
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
WIDER_THAN_THE_WINDOW = "() => document.documentElement.scrollWidth > window.innerWidth"
OPEN_EVERYTHING = "() => document.querySelectorAll('details').forEach(each => { each.open = true })"
# What somebody could try to get into the page. None of it may run or load.
INJECTED = """
<script>window.injected = 1</script>
<img src="https://example.com/a.png" onerror="window.injected = 2">
<p style="color: red" id="styled">styled</p>
<link rel="stylesheet" href="https://example.com/a.css">
<iframe src="https://example.com/"></iframe>
"""


@dataclass
class Opened:
    """A page, and what it did."""

    page: Page
    requests: list[str]
    blocked: list[str]
    """The requests that the policy of the page stopped."""
    messages: list[str]


@contextmanager
def opened(browser: Browser, html: str, directory: Path, width: int, scheme: Scheme = "light") -> Iterator[Opened]:
    file = directory / "dashboard.html"
    file.write_text(html, encoding="utf-8")
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    found = Opened(page, [], [], [])
    page.on("request", lambda request: found.requests.append(request.url))
    page.on("requestfailed", lambda request: found.blocked.append(request.url) if request.failure == "csp" else None)
    page.on("console", lambda message: found.messages.append(message.text))
    page.on("pageerror", lambda error: found.messages.append(str(error)))
    page.goto(file.as_uri())
    yield found
    context.close()


@pytest.mark.parametrize(("width", "scheme"), LAYOUTS)
@pytest.mark.parametrize("scene", SCENES)
def test_the_page_asks_for_nothing_logs_nothing_fits_and_can_be_read(
    browser: Browser, tmp_path: Path, scene: str, width: int, scheme: Scheme
) -> None:
    with opened(browser, render(SCENES[scene]()), tmp_path, width, scheme) as found:
        page = found.page
        assert found.requests == [page.url]
        assert found.messages == []
        for narrow in (width, NARROWEST):
            page.set_viewport_size({"width": narrow, "height": 900})
            assert not page.evaluate(WIDER_THAN_THE_WINDOW)
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate(OPEN_EVERYTHING)
        assert not page.evaluate(WIDER_THAN_THE_WINDOW)
        if (width, scheme) in AUDITED:
            assert violations(page) == []


def violations(page: Page) -> list[tuple[str, list[Any]]]:
    """The rules of accessibility that the page breaks, and where."""
    found = Axe().run(page, options=RULES).response["violations"]
    return [(each["id"], [node["target"] for node in each["nodes"]]) for each in found]


def test_the_colour_scheme_of_the_reader_is_followed(browser: Browser, tmp_path: Path) -> None:
    paper = {}
    for scheme in ("light", "dark"):
        with opened(browser, render(usual()), tmp_path, 1280, scheme) as found:
            paper[scheme] = found.page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(252, 252, 250)", "dark": "rgb(20, 22, 25)"}


def test_what_gets_into_the_page_neither_runs_nor_loads(browser: Browser, tmp_path: Path) -> None:
    html = render(usual()).replace('<main id="main">', f'<main id="main">{INJECTED}')
    with opened(browser, html, tmp_path, 1280) as found:
        page = found.page
        page.wait_for_load_state("networkidle")
        assert page.evaluate("() => window.injected") is None
        assert page.evaluate("() => getComputedStyle(document.getElementById('styled')).color") == "rgb(27, 29, 32)"
        assert sorted(found.requests[1:]) == sorted(found.blocked)
        assert sum("Content Security Policy" in message for message in found.messages) >= 5


def test_the_keyboard_reaches_the_reports_and_opens_the_numbers(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, render(usual()), tmp_path, 1280) as found:
        page = found.page
        page.keyboard.press("Tab")
        assert page.evaluate("() => document.activeElement.getAttribute('href')") == "#main"
        assert page.evaluate("() => document.activeElement.getBoundingClientRect().left") >= 0
        page.locator("details.numbers summary").first.focus()
        page.keyboard.press("Enter")
        assert page.locator("details.numbers").first.evaluate("each => each.open")
        assert page.locator("details.numbers table").first.is_visible()


def test_text_in_charts_has_the_same_size_at_every_width(browser: Browser, tmp_path: Path) -> None:
    heights = set()
    for width in (390, 1280):
        with opened(browser, render(usual()), tmp_path, width) as found:
            labels = found.page.locator("svg.plot text")
            heights |= {round(labels.nth(i).bounding_box()["height"]) for i in range(labels.count())}
    assert len(heights) == 1


@pytest.mark.parametrize(("scene", "pages"), [("usual", 4), ("three_years", 6)])
def test_it_prints_on_a_few_pages(browser: Browser, tmp_path: Path, scene: str, pages: int) -> None:
    with opened(browser, render(SCENES[scene]()), tmp_path, 1280, "dark") as found:
        printed = found.page.pdf(format="A4")
    assert 2 <= printed.count(b"/Type /Page\n") <= pages
