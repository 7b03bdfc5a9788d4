"""`python -m tools.screenshots DASHBOARD`: docs/images/dashboard.png, from this file."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

PICTURE = Path(__file__).resolve().parents[2] / "docs" / "images" / "dashboard.png"
WIDTH = 1120
LAST = "#speed"  # the first section that is not in the picture
MARGIN = 16


def main(dashboard: Path) -> int:
    """Returns the exit code: 1 if there is no dashboard or no browser."""
    program = shutil.which("chromium")
    if program is None:
        sys.stderr.write("chromium is missing: apt-get install chromium\n")
        return 1
    if not dashboard.is_file():
        sys.stderr.write(f"there is no {dashboard}: run make demo\n")
        return 1
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        page = browser.new_page(viewport={"width": WIDTH, "height": 1600}, color_scheme="light")
        page.goto(dashboard.resolve().as_uri())
        bottom = page.locator(LAST).bounding_box()
        assert bottom is not None  # noqa: S101
        page.screenshot(path=PICTURE, clip={"x": 0, "y": 0, "width": WIDTH, "height": bottom["y"] - MARGIN})
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
