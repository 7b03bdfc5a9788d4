"""The dashboard in a headless Chromium: what its charts asked for and got, and a picture of it.

A browser makes the query of a chart from the chart's controls, not from the query in the bundle. So the rows that the
browser gets are compared too.
"""

from __future__ import annotations

import json
import re
import shutil
import time
import urllib.parse
from pathlib import Path

from playwright.sync_api import Page, Response, sync_playwright

from tools.superset.client import Client
from tools.superset.expected import Row

WIDTH, HEIGHT = 1600, 3600  # so high that no chart waits until somebody scrolls
TIMEOUT_S = 120.0
BOTTOM = """() => Math.max(...[...document.querySelectorAll('.dashboard-component-chart-holder')].map(
    chart => chart.getBoundingClientRect().bottom
))"""
MARGIN = 24
DRAWN_MS = 5000  # after the last answer, for the animations
CHART = re.compile(r"/api/v1/chart/data\?.*form_data=([^&]+)")


class NotShown(Exception):
    """The browser did not show the whole dashboard."""


def show(client: Client, dashboard: str, charts: int, picture: Path | None) -> dict[int, list[Row]]:
    """Opens the dashboard and returns the rows that each chart got, by its number. Raises NotShown."""
    program = shutil.which("chromium")
    if program is None:
        raise NotShown("chromium is missing: apt-get install chromium")
    answers: dict[int, Response] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT})
        context.add_cookies([{"name": "session", "value": client.session, "url": client.address}])
        page = context.new_page()
        page.on("requestfinished", lambda request: note(answers, request.response()))
        page.goto(f"{client.address}{dashboard}", timeout=TIMEOUT_S * 1000)
        wait(page, answers, charts)
        if picture:
            height = min(page.evaluate(BOTTOM) + MARGIN, HEIGHT)
            page.screenshot(path=picture, clip={"x": 0, "y": 0, "width": WIDTH, "height": height})
        rows = {chart: rows_of(response) for chart, response in answers.items()}
        browser.close()
    return rows


def note(answers: dict[int, Response], response: Response | None) -> None:
    """Keeps the last answer of each chart, by the number of the chart."""
    found = CHART.search(response.url) if response else None
    if response and found:
        answers[int(json.loads(urllib.parse.unquote(found[1]))["slice_id"])] = response


def wait(page: Page, answers: dict[int, Response], charts: int) -> None:
    end = time.monotonic() + TIMEOUT_S
    while len(answers) < charts:
        if time.monotonic() > end:
            raise NotShown(f"{len(answers)} of {charts} charts got data in {TIMEOUT_S:.0f} seconds")
        page.wait_for_timeout(500)
    page.wait_for_timeout(DRAWN_MS)


def rows_of(response: Response) -> list[Row]:
    answer = response.json()
    if "result" not in answer:
        raise NotShown(f"a chart got an error: {answer}")
    return list(answer["result"][0]["data"])
