"""The files that are mutated: those of the loader in Python, those of the migrations and the dbt project in SQL."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from tools.mutants.mutant import Mutant, mutants_of
from tools.mutants.python_edits import python_edits
from tools.mutants.sql_edits import sql_edits
from tools.mutants.workplace import ROOT

PYTHON = ("loader/chat_telemetry/*.py",)
SQL = ("migrations/*.sql", "models/*.sql", "macros/*.sql", "tests/dbt/*.sql")
MADE_BY_TOOLS = {"__pycache__", "target", "logs", "dist", "dbt_packages"}
# The numbers in these are chances and sizes of made-up requests, about which nothing is promised.
MADE_UP_NUMBERS = ("loader/chat_telemetry/_cli/demo/generator.py",)


def project_files(root: Path = ROOT) -> list[str]:
    """The files of the project as they are now, relative to `root`: nothing hidden, and nothing that tools made."""
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in MADE_BY_TOOLS]
        found += [Path(folder, name).relative_to(root).as_posix() for name in names if not name.startswith(".")]
    return sorted(found)


def matching(paths: list[str], patterns: tuple[str, ...]) -> list[str]:
    """The paths that match one of the patterns, in which * stands for any text, slashes included."""
    return [path for path in paths if any(fnmatch(path, pattern) for pattern in patterns)]


def all_mutants(paths: list[str], root: Path = ROOT) -> Iterator[Mutant]:
    """Every mutant of the files at `paths`."""
    for path in paths:
        text = (root / path).read_text(encoding="utf-8")
        is_sql = path.endswith(".sql")
        edits = sql_edits(text) if is_sql else python_edits(text, numbers=path not in MADE_UP_NUMBERS)
        yield from mutants_of(path, text, edits)
