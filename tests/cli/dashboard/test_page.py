"""The page: well-formed, closed to the outside, safe for texts of others, readable in every scene."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from xml.etree.ElementTree import Element

import html5lib
import pytest

from chat_telemetry._cli.dashboard.page import render
from tests.cli.dashboard.scenes import SCENES, hostile, one_day, stale, unpriced, usual

LIMIT = 1_000_000
HASHES = """
import hashlib
from chat_telemetry._cli.dashboard.page import render
from tests.cli.dashboard.scenes import SCENES
for name, scene in SCENES.items():
    print(name, hashlib.sha256(render(scene()).encode()).hexdigest())
"""
each_scene = pytest.mark.parametrize("scene", SCENES)


def parsed(page: str) -> Element:
    """The elements of the page. Fails if a browser would have to repair it."""
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    document: Element = parser.parse(page)
    for element in document.iter():
        if isinstance(element.tag, str):  # that of a comment is a function
            element.tag = element.tag.split("}")[-1]
    return document


def visible_text(page: str) -> str:
    """The words that the page shows, with single spaces."""
    body = parsed(page).find("body")
    assert body is not None
    return " ".join("".join(body.itertext()).split())


@each_scene
def test_a_browser_has_nothing_to_repair_in_the_page(scene: str) -> None:
    parsed(render(SCENES[scene]()))


@each_scene
def test_the_page_loads_nothing_runs_nothing_and_is_small(scene: str) -> None:
    page = render(SCENES[scene]())
    document = parsed(page)
    assert len(page.encode()) < LIMIT
    assert {"script", "link", "img", "iframe", "object", "form", "base"}.isdisjoint(
        each.tag for each in document.iter()
    )
    for element in document.iter():
        names = set(element.attrib)
        assert not {name for name in names if name.startswith("on")} | names & {"style", "src", "srcset", "action"}
        assert element.get("href", "#").startswith("#")
    style = document.find("head/style")
    assert style is not None
    assert style.text
    assert not re.search(r"url\(|@import|https?:|expression", style.text)


@each_scene
def test_the_policy_allows_the_style_sheet_of_the_page_and_nothing_else(scene: str) -> None:
    document = parsed(render(SCENES[scene]()))
    policy = next(meta for meta in document.iter("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    style = document.find("head/style")
    assert style is not None
    assert style.text
    digest = base64.b64encode(hashlib.sha256(style.text.encode()).digest()).decode()
    expected = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert policy.get("content") == expected


@each_scene
def test_every_link_has_a_target_and_every_id_is_unique(scene: str) -> None:
    document = parsed(render(SCENES[scene]()))
    ids = [each.attrib["id"] for each in document.iter() if "id" in each.attrib]
    assert len(ids) == len(set(ids))
    links = {each.attrib["href"].removeprefix("#") for each in document.iter("a")}
    labels = {each.attrib["aria-labelledby"] for each in document.iter() if "aria-labelledby" in each.attrib}
    assert links | labels <= set(ids)


def test_texts_of_others_change_no_element_and_are_shown_as_they_are() -> None:
    page = render(hostile())
    body = visible_text(page)
    for text in (
        "<script>alert(1)</script>",
        '"><b onmouseover="alert(1)">',
        "{{ 7 * 7 }}{% raw %}",
        "&lt;b&gt; &amp;amp;",
    ):
        assert text in body
    assert "⟨U+202E⟩gnp.exe⟨U+202C⟩⟨U+200B⟩⟨U+001B⟩[31m⟨U+0000⟩" in body
    assert "(empty)" in body
    assert not re.search("[\u202e\u200b\x1b\x00]", page)
    elements = {each.tag for each in parsed(page).iter()}
    assert elements <= {each.tag for each in parsed(render(replace(usual(), alerts=hostile().alerts[:1]))).iter()}
    assert any("m" * 199 + "…" in text for text in parsed(page).itertext())


def test_the_same_rows_make_the_same_bytes_in_every_environment() -> None:
    outputs = set()
    for seed, zone, language in (
        ("1", "UTC", "C"),
        ("2", "Asia/Kolkata", "de_DE.UTF-8"),
        ("3", "America/Lima", "tr_TR"),
    ):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": language, "LANG": language}
        outputs.add(subprocess.check_output([sys.executable, "-c", HASHES], env=environment, text=True))
    assert len(outputs) == 1
    assert len(outputs.pop().splitlines()) == len(SCENES)


@each_scene
def test_beside_each_chart_stand_its_numbers(scene: str) -> None:
    document = parsed(render(SCENES[scene]()))
    charts = [each for each in document.iter("svg") if each.get("class") == "plot"]
    tables = [each for each in document.iter("details") if each.get("class") == "numbers"]
    assert bool(charts) == (scene != "empty")
    assert len(tables) >= len(charts)
    for chart in charts:
        assert chart.get("role") == "img"
        assert str(chart.get("aria-label")).endswith("; the numbers follow in a table")
    for chart in document.iter("svg"):
        if chart.get("role") != "img":
            assert chart.get("aria-hidden") == "true" or is_inside_a_chart(document, chart)


def is_inside_a_chart(document: Element, svg: Element) -> bool:
    hidden = [group for group in document.iter("g") if group.get("aria-hidden") == "true"]
    return any(svg in list(group.iter()) for group in hidden)


@each_scene
def test_every_table_has_headings_and_as_many_cells_in_each_row(scene: str) -> None:
    for table in parsed(render(SCENES[scene]())).iter("table"):
        lengths = {len(list(row)) for row in table.iter("tr")}
        assert len(lengths) == 1
        heads = [cell for row in table.iter("thead") for cell in row.iter("th")]
        assert heads
        assert all(cell.get("scope") == "col" for cell in heads)


def test_a_day_that_is_not_over_is_hollow_and_in_no_rate() -> None:
    document = parsed(render(usual()))
    charts = [each for each in document.iter("svg") if each.get("class") == "plot"]
    hollow = [[bar for bar in chart.iter("rect") if bar.get("class") == "begun"] for chart in charts]
    assert [len(bars) for bars in hollow] == [1] + [0] * (len(charts) - 1)
    title = hollow[0][0].find("title")
    assert title is not None
    assert str(title.text).startswith("25 Nov 2026: $")


def test_a_day_of_few_requests_does_not_set_the_scale_of_a_rate() -> None:
    reports = usual()
    few = reports.requests[-5]
    few.request_count, few.error_count, few.error_rate = 2, 2, 1.0
    reports.requests[-6].error_rate = 0.05
    chart = next(each for each in parsed(render(reports)).iter("svg") if "failed" in str(each.get("aria-label")))
    heights = [float(bar.attrib["height"]) for bar in chart.iter("rect")]
    assert max(heights) == 96
    assert sorted(heights)[-2] > 50


def test_sections_can_be_left_out() -> None:
    reports = usual()
    page = render(reports, frozenset({"users", "sql"}))
    assert not any(user.user_id in page for user in reports.users)
    assert "select a from t" not in page
    assert "User ids and SQL were left out of this file." in visible_text(page)
    assert "This file contains SQL, which" in visible_text(render(reports, frozenset({"users"})))
    assert "This file contains user ids:" in visible_text(render(reports, frozenset({"sql"})))


def test_the_first_sentence_says_cost_change_and_the_model_that_costs_most() -> None:
    text = visible_text(render(usual()))
    assert re.search(
        r"The models cost \$[\d.]+, [\d,]+( %| times) .* the week before; gpt-4o-2024-08-06 is 46 % of it",
        text,
    )


def test_a_first_day_is_no_week_and_no_chart_of_nothing() -> None:
    text = visible_text(render(one_day()))
    assert "No chat requests from 18 to 24 Nov 2026. The newest one was made on 25 Nov 2026." in text
    assert "no week before to compare with" in text
    assert "No request without error in the week: nothing was measured." in text


def test_without_any_price_no_cost_is_shown_as_zero() -> None:
    text = visible_text(render(unpriced()))
    assert "What the models cost is not known: none of their calls has a price." in text
    assert "None of the" in text
    assert "$0" not in text.replace("A missing price is not $0", "")


def test_what_limits_the_numbers_stands_above_them() -> None:
    header = parsed(render(stale())).find("body/header")
    assert header is not None
    text = " ".join("".join(header.itertext()).split())
    assert "1,500 changes of the log wait for the next run" in text
    assert "No chat request for more than a day" in text
    assert "Not refreshed together with the others: errors." in text
    assert "model calls of the last 30 days with impossible token counts" in text
    everything = visible_text(render(stale()))
    assert "2 requests have a time in the future and no report counts them yet." in everything
    assert "3 values are impossible and left out" in everything


def test_open_alerts_are_shown() -> None:
    built = usual()
    text = visible_text(render(replace(built, alerts=hostile().alerts[:1])))
    assert (
        "Alert <script>alert(1)</script> <script>alert(1)</script>: 1.5 is over the bound 1, since 25 Nov 2026, 01:58"
        in text
    )
    assert "Alert " not in visible_text(render(built))


def test_reports_of_a_day_of_the_past_do_not_say_that_it_is_not_over() -> None:
    assert "25 Nov 2026, not over yet" in visible_text(render(usual()))
    later = usual()
    for row in later.freshness:
        row.refreshed_at += timedelta(days=3)
    assert later.days
    days = replace(later.days, is_over=True)
    text = visible_text(render(replace(later, days=days)))
    assert "not over yet" not in text
    assert "25 Nov 2026, the last day of the reports" in text
    assert "so far" not in text


def test_columns_are_explained_by_the_comments_of_the_database() -> None:
    text = visible_text(render(usual()))
    assert "token_cost.cost_usd" in text
    assert "US dollars, which may be summed." in text
    assert "token_cost.call_count" not in text  # it has no comment here
