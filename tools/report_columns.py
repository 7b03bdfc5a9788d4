"""`make report-columns`: write the tables of columns in docs/reports.md, which `make docs` compares with their source.

The source is what becomes the comment of the column in the database.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tools.descriptions import Described, descriptions

ROOT = Path(__file__).parents[1]
PAGE = Path("docs/reports.md")
TABLE = re.compile(
    r"(<!-- The columns of (\w+), written by make report-columns\. -->\n).*?(<!-- End of the columns\. -->)", re.DOTALL
)


def new_page(root: Path) -> str:
    """The page with new tables."""
    views = descriptions(root)
    return TABLE.sub(
        lambda table: f"{table[1]}\n{''.join(_rows(views.get(table[2], Described())))}\n{table[3]}", _text(root / PAGE)
    )


def problems(root: Path) -> Iterator[str]:
    """What is wrong with the tables of the page; nothing if there is no page."""
    if not (root / PAGE).exists():
        return
    page = _text(root / PAGE)
    tables = [name for _, name, _ in TABLE.findall(page)]
    yield from (f"has no table of the columns of {name}" for name in descriptions(root) if name not in tables)
    if new_page(root) != page:
        yield "the tables of columns are old: run make report-columns"


def _rows(view: Described) -> Iterator[str]:
    yield "| column | |\n| --- | --- |\n"
    for name, text in view.columns.items():
        yield f"| `{name}` | {text} |\n"


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


if __name__ == "__main__":
    (ROOT / PAGE).write_text(new_page(ROOT), encoding="utf-8")
    sys.stdout.writelines(f"{PAGE}: {problem}\n" for problem in problems(ROOT))
