"""The mutants that were judged equivalent: no test can tell them from the original, or no test should have to."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from tools.mutants.mutant import Mutant

LIST = Path(__file__).with_name("equivalent.toml")


@dataclass(frozen=True)
class Equivalent:
    """An entry of the list. It knows its mutant by the text of its lines, not by their number."""

    path: str
    before: str
    after: str
    reason: str

    def is_of(self, mutant: Mutant) -> bool:
        return (self.path, self.before, self.after) == (mutant.path, mutant.before, mutant.after)


def read_equivalents(file: Path = LIST) -> list[Equivalent]:
    entries = tomllib.loads(file.read_text(encoding="utf-8")).get("equivalent", [])
    return [Equivalent(**entry) for entry in entries]


def reason_of(mutant: Mutant, equivalents: list[Equivalent]) -> str | None:
    """Why the mutant is equivalent; None if it is not on the list."""
    return next((entry.reason for entry in equivalents if entry.is_of(mutant)), None)
