"""A recipe of CONTRIBUTING.md as edits of files, to be applied to a copy of the project."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from chat_telemetry._cli.sql_project import project_directory

PARTS = ("loader", "migrations", "models", "macros", "seeds", "tests", "docs")
FILES = ("dbt_project.yml", "profiles.yml", "selectors.yml", "pyproject.toml", "README.md", "CONTRIBUTING.md")


@dataclass(frozen=True)
class Edit:
    """Inserts `text` after `after` in the file `place`, or creates the file if `after` is None."""

    place: str
    after: str | None
    text: str

    def apply(self, root: Path) -> None:
        """Raises AssertionError if the file has no such text: then the project changed, and the recipe has to."""
        path = root / self.place
        if self.after is None:
            path.write_text(self.text, encoding="utf-8")
            return
        before = path.read_text(encoding="utf-8")
        assert self.after in before, f"{self.place} has no {self.after!r}"
        path.write_text(before.replace(self.after, self.after + self.text, 1), encoding="utf-8")


def copied_project(directory: Path) -> Path:
    """A copy of what the recipes change and what looks at it."""
    root = directory / "project"
    for part in PARTS:
        shutil.copytree(project_directory() / part, root / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(project_directory() / name, root / name)
    return root


def apply_all(root: Path, edits: Iterable[Edit], *, but: str | None = None) -> None:
    """Apply the edits, except those of the place `but`."""
    for edit in edits:
        if edit.place != but:
            edit.apply(root)


def places_in(recipe: str) -> list[str]:
    """The places that the checklist of CONTRIBUTING.md names, in its order."""
    page = (project_directory() / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = re.search(rf"^### {re.escape(recipe)}$(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL)
    assert section, f"CONTRIBUTING.md has no section {recipe}"
    return re.findall(r"^- \[ \] `([^`]+)`", section[1], re.MULTILINE)
