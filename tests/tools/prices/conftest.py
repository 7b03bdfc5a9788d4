"""A copy of the files that `make prices` reads and writes, and small lists instead of the second one."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from tools.prices.__main__ import ALIASES, PRICES, ROOT, main
from tools.prices.decisions import FILE
from tools.prices.docs_table import PAGE
from tools.prices.genai_list import VERSION
from tools.prices.names import ADDED, LISTED
from tools.prices.second_list import JSON_FILE

FILES = (PRICES, ALIASES, FILE, PAGE, ADDED, LISTED)
DAY = "2026-11-29"
HEAD = f'[price_list]\nversion = "{VERSION}"\nreleased_on = 2026-11-10\n'


class Project:
    """The files in a directory of their own. `second` becomes the second list, `decisions` the decisions."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "project"
        self.wheels = directory / "wheels"
        self.wheels.mkdir()
        for file in FILES:
            (self.root / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, self.root / file)

    def second(self, *entries: tuple[str, str, str]) -> None:
        """Entries are a name with its prefix, the provider and `input/cached/output`."""
        content = {}
        for name, provider, price in entries:
            full, cached, output = price.split("/")
            content[name] = {"litellm_provider": provider, "mode": "chat"} | {
                "input_cost_per_token": float(full) / 1e6,
                "output_cost_per_token": float(output) / 1e6,
                **({} if cached == "-" else {"cache_read_input_token_cost": float(cached) / 1e6}),
            }
        with zipfile.ZipFile(self.wheels / "litellm-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(JSON_FILE, json.dumps(content))

    def decide(self, *decisions: str) -> None:
        (self.root / FILE).write_text("\n".join([HEAD, *decisions]), encoding="utf-8")

    def make_prices(self, *options: str) -> int:
        return main([str(self.wheels), "--root", str(self.root), "--day", DAY, *options])

    def read(self, file: Path) -> str:
        return (self.root / file).read_text(encoding="utf-8")

    def everything(self) -> dict[Path, str]:
        return {file: self.read(file) for file in FILES}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path)
    made.decide()
    made.second(("gpt-4o", "openai", "2.5/1.25/10"))
    return made


def decision(action: str, name: str, ours: str, theirs: str, *prices: tuple[str, str]) -> str:
    rows = ", ".join(f'{{ valid_from = {day}, price = "{price}" }}' for day, price in prices)
    return "\n".join(
        [
            "[[decision]]",
            f'action = "{action}"',
            f'disputes = [{{ name = "{name}", ours = "{ours}", theirs = "{theirs}" }}]',
            *([f"prices = [{rows}]"] if prices else []),
            "decided_on = 2026-11-29",
            'why = "a test"',
            'source = ["https://example.com"]',
        ]
    )
