"""The relations that a BI tool reads: their columns and what models and migrations say about them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

DOCS_BLOCK = re.compile(r"{% docs (\w+) %}\n(.*?)\n{% enddocs %}", re.DOTALL)
DOC = re.compile(r"""{{ doc\(['"](\w+)['"]\) }}""")
COMMENT = re.compile(r"comment on (?:view|column) chat_reports\.(\w+)(?:\.(\w+))? is\s+'((?:[^']|'')*)'")
# The type of a column follows from its name. `python -m tools.superset` compares it with that in the database.
TYPES = (
    (r"user_id", "UUID"),
    (r"max_ms|max_row_count", "INTEGER"),
    (r"\w+_usd", "NUMERIC(20, 10)"),
    (r"bound|value", "NUMERIC"),
    (r"\w+_ms|\w+_rate|share_of_\w+|avg_row_count", "DOUBLE PRECISION"),
    (r"day|as_of|period_start|\w+_on", "DATE"),
    (r"\w+_at", "TIMESTAMP WITH TIME ZONE"),
    (r"\w+_count|\w+_tokens|active_days|pending_changes", "BIGINT"),
)


class DescriptionMissing(Exception):
    """A relation or a column has no description in the place where the bundle looks for it."""


@dataclass(frozen=True)
class Column:
    name: str
    type: str
    description: str

    @property
    def is_temporal(self) -> bool:
        return self.type in {"DATE", "TIMESTAMP WITH TIME ZONE"}

    @property
    def is_dimension(self) -> bool:
        return self.is_temporal or self.type in {"TEXT", "UUID"}


@dataclass(frozen=True)
class Relation:
    name: str
    description: str
    columns: tuple[Column, ...]


def read_relations(root: Path) -> list[Relation]:
    """The seven reports in the order of their names, then the views on them."""
    shared = (root / "models/shared_columns.md").read_text(encoding="utf-8")
    blocks = dict(DOCS_BLOCK.findall(shared))
    files = sorted((root / "models/reports").glob("*.yml"))
    models = [yaml.safe_load(file.read_text(encoding="utf-8"))["models"][0] for file in files]
    return [*(report(model, blocks) for model in models), *views(root)]


def report(model: dict[str, Any], blocks: dict[str, str]) -> Relation:
    columns = (column(entry["name"], resolve(entry["description"], blocks)) for entry in model["columns"])
    return Relation(model["name"], resolve(model["description"], blocks), tuple(columns))


def views(root: Path) -> list[Relation]:
    """The views that migrations create: no models of dbt, so their comments are in the migrations."""
    files = (file for file in sorted((root / "migrations").glob("*.sql")) if not file.match("*.rollback.sql"))
    comments = [comment for file in files for comment in COMMENT.findall(file.read_text(encoding="utf-8"))]
    described = {view: unquoted(text) for view, name, text in comments if not name}
    return [
        Relation(view, text, tuple(column(name, unquoted(said)) for of, name, said in comments if name and of == view))
        for view, text in described.items()
    ]


def unquoted(text: str) -> str:
    return text.replace("''", "'")


def column(name: str, description: str) -> Column:
    return Column(name, type_of(name), description)


def type_of(column: str) -> str:
    return next((type_ for pattern, type_ in TYPES if re.fullmatch(pattern, column)), "TEXT")


def resolve(description: str, blocks: dict[str, str]) -> str:
    """The description with the text of each docs block in place of its name."""
    try:
        text = DOC.sub(lambda found: blocks[found[1]], description)
    except KeyError as error:
        raise DescriptionMissing(f"models/shared_columns.md has no docs block {error}") from error
    return " ".join(text.split())
