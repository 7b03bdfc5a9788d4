"""What the project says about each view of chat_reports and its columns: the comments in the database, without one.

The source is a description in models/reports, with the docs blocks of models/shared_columns.md, or a comment in a
migration for the views that dbt does not make.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

BLOCK = re.compile(r"\{% docs (\w+) %\}(.*?)\{% enddocs %\}", re.DOTALL)
USE_OF_A_BLOCK = re.compile(r"\{\{ doc\(['\"](\w+)['\"]\) \}\}")
COMMENT = re.compile(
    r"^comment on (?:view|column) chat_reports\.(\w+)(?:\.(\w+))? is\s+'((?:[^']|'')*)';$", re.MULTILINE
)


class DescriptionMissing(Exception):
    """A description names a docs block that models/shared_columns.md does not have."""


@dataclass
class Described:
    """A view: its description, and that of each column."""

    text: str = ""
    columns: dict[str, str] = field(default_factory=dict)


def descriptions(root: Path) -> dict[str, Described]:
    """The seven reports in the order of their names, then the other views. Raises DescriptionMissing."""
    found: dict[str, Described] = {}
    blocks = {name: text.strip() for name, text in BLOCK.findall(_text(root / "models" / "shared_columns.md"))}
    for path in sorted((root / "models" / "reports").glob("*.yml")):
        for model in yaml.safe_load(_text(path))["models"]:
            columns = {column["name"]: resolved(column["description"], blocks) for column in model["columns"]}
            found[model["name"]] = Described(resolved(model["description"], blocks), columns)
    for path in sorted((root / "migrations").glob("*.sql")):
        for view, column, quoted in COMMENT.findall(_text(path)):
            described, text = found.setdefault(view, Described()), quoted.replace("''", "'")
            if column:
                described.columns[column] = text
            else:
                described.text = text
    return found


def resolved(description: str, blocks: Mapping[str, str]) -> str:
    """The description with the text of each docs block in place of its name."""
    try:
        return USE_OF_A_BLOCK.sub(lambda use: blocks[use[1]], description)
    except KeyError as error:
        raise DescriptionMissing(f"models/shared_columns.md has no docs block {error}") from error


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
