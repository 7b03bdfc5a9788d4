"""Counts of right and wrong shapes, by class of difference."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

FORMS = {"spaces": r"\s", "signs": r"[-+\s]", "folding": r"[?,()\[\]\s]"}  # what the difference consists of
PARTS = {"dollar quotes": r"\$[^\d$]*\$", "comments": r"--|/\*", "numbers": r"\d[\w.]|\.\d", "strings": "'"}


def class_of_difference(text: str, found: str, expected: str) -> str:
    """How the shapes differ, if that is clear, else the part of the text that most probably was read wrongly."""
    for name, pattern in FORMS.items():
        if re.sub(pattern, "", found) == re.sub(pattern, "", expected):
            return name
    return next((name for name, pattern in PARTS.items() if re.search(pattern, text)), "other")


@dataclass
class Comparison:
    """The result of one test."""

    title: str
    tried: int = 0
    wrong: dict[str, list[dict[str, str | None]]] = field(default_factory=dict)

    def add(self, text: str, found: str | None, expected: str | None) -> None:
        self.tried += 1
        if found != expected:
            name = class_of_difference(text, found or "", expected or "")
            self.wrong.setdefault(name, []).append({"text": text, "found": found, "expected": expected})

    def report(self) -> None:
        """Prints the figures. Fails with the shortest wrong text of each class."""
        classes = ", ".join(f"{name} {len(cases):,}" for name, cases in sorted(self.wrong.items()))
        wrong = sum(len(cases) for cases in self.wrong.values())
        figures = f"tried {self.tried:>7,}  right {self.tried - wrong:>7,}  wrong {wrong:>5,}  {classes}"
        print(f"\n{self.title:<45} {figures}".rstrip(), end=" ")  # noqa: T201 - shown by `make test-shapes`
        shortest = {name: min(cases, key=lambda case: len(case["text"] or "")) for name, cases in self.wrong.items()}
        assert self.tried > 0
        assert shortest == {}
