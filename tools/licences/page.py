"""The tables in docs/licences.md, each between two comments."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from tools.licences.licence import REVIEWED, LicenceUnknown, licence_of
from tools.licences.packages import installed_by

PAGE = Path("docs/licences.md")
BEGIN = "<!-- The next lines are written by python -m tools.licences: {}. -->"
END = "<!-- These lines end here: {}. -->"
# A library that a wheel brings: `psycopg_binary.libs/libpq-e9b5c9ac.so.5.18` is libpq.
LIBRARY = re.compile(r"[\w.]+\.libs/(lib[\w+]+?)(?:-[0-9a-f]{8})?\.so[.\d]*")
NATIVE = "linux"  # the platform whose wheels are looked at


def new_text(root: Path, page: str, reviewed: Mapping[str, Any]) -> str:
    """The page with new tables. On another platform than Linux the table of the libraries stays.

    Raises LicenceUnknown, with all packages and libraries whose licence nobody read.
    """
    causes = installed_by(root)
    page = _replace(page, "packages", list(_packages(causes, reviewed)))
    if sys.platform == NATIVE:
        page = _replace(page, "libraries", list(_libraries(causes, reviewed["libraries"])))
    return page


def _packages(causes: Mapping[str, list[str]], reviewed: Mapping[str, Any]) -> Iterator[str]:
    unknown = []
    yield "| package | licence | installed by |"
    yield "| --- | --- | --- |"
    for name, brought_by in causes.items():
        try:
            yield f"| {name} | {licence_of(name, reviewed)} | {', '.join(brought_by)} |"
        except LicenceUnknown as error:
            unknown.append(str(error))
    if unknown:
        raise LicenceUnknown("\n".join(unknown))


def _libraries(causes: Mapping[str, list[str]], licences: Mapping[str, str]) -> Iterator[str]:
    yield "| package | library | licence |"
    yield "| --- | --- | --- |"
    for name in causes:
        libraries = sorted(_libraries_in(name))
        unknown = [library for library in libraries if library not in licences]
        if unknown:
            raise LicenceUnknown(f"{name} contains {', '.join(unknown)}: read the licence, add it to {REVIEWED.name}")
        for licence in dict.fromkeys(licences[library] for library in libraries):
            of_licence = ", ".join(library for library in libraries if licences[library] == licence)
            yield f"| {name} | {of_licence} | {licence} |"


def _libraries_in(name: str) -> set[str]:
    try:
        files = metadata.files(name) or []
    except metadata.PackageNotFoundError:
        return set()
    return {found[1] for file in files if (found := LIBRARY.fullmatch(str(file)))}


def _replace(page: str, table: str, lines: list[str]) -> str:
    begin, end = BEGIN.format(table), END.format(table)
    before, found_begin, rest = page.partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found_begin and found_end):
        raise LicenceUnknown(f"{PAGE} needs these two lines around the table: {begin} {end}")
    return "\n".join([before + begin, "", *lines, "", end + after])
