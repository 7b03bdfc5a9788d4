"""The relations that a BI tool reads: their columns and what models and migrations say about them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tools.descriptions import descriptions

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
    return [
        Relation(name, view.text, tuple(column(*each) for each in view.columns.items()))
        for name, view in descriptions(root).items()
    ]


def column(name: str, description: str) -> Column:
    return Column(name, type_of(name), description)


def type_of(column: str) -> str:
    return next((type_ for pattern, type_ in TYPES if re.fullmatch(pattern, column)), "TEXT")
