"""`make report-columns`: write the tables of columns in docs/reports.md, which `make docs` compares with their source.

The source is what becomes the comment of the column: a description in models/reports or, for the other views of
chat_reports, a comment in a migration.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
PAGE = Path("docs/reports.md")
BLOCK = re.compile(r"\{% docs (\w+) %\}(.*?)\{% enddocs %\}", re.DOTALL)
USE_OF_A_BLOCK = re.compile(r"\{\{ doc\('(\w+)'\) \}\}")
COMMENT = re.compile(r"^comment on column chat_reports\.(\w+)\.(\w+) is\s+'((?:[^']|'')*)';$", re.MULTILINE)
TABLE = re.compile(
    r"(<!-- The columns of (\w+), written by make report-columns\. -->\n).*?(<!-- End of the columns\. -->)", re.DOTALL
)


def descriptions(root: Path) -> dict[str, dict[str, str]]:
    """The text of each column of each view in chat_reports, as the database has it."""
    found: dict[str, dict[str, str]] = {}
    blocks = {name: text.strip() for name, text in BLOCK.findall(_text(root / "models" / "shared_columns.md"))}
    for path in sorted((root / "models" / "reports").glob("*.yml")):
        for model in yaml.safe_load(_text(path))["models"]:
            found[model["name"]] = {
                column["name"]: USE_OF_A_BLOCK.sub(lambda use: blocks[use[1]], column["description"])
                for column in model["columns"]
            }
    for path in sorted((root / "migrations").glob("*.sql")):
        for view, column, text in COMMENT.findall(_text(path)):
            found.setdefault(view, {})[column] = text.replace("''", "'")
    return found


def new_page(root: Path) -> str:
    """The page with new tables."""
    columns = descriptions(root)
    return TABLE.sub(
        lambda table: f"{table[1]}\n{''.join(_rows(columns.get(table[2], {})))}\n{table[3]}", _text(root / PAGE)
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


def _rows(columns: dict[str, str]) -> Iterator[str]:
    yield "| column | |\n| --- | --- |\n"
    for name, text in columns.items():
        yield f"| `{name}` | {text} |\n"


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


if __name__ == "__main__":
    (ROOT / PAGE).write_text(new_page(ROOT), encoding="utf-8")
    sys.stdout.writelines(f"{PAGE}: {problem}\n" for problem in problems(ROOT))
