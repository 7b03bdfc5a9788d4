"""The packages that the project and its extras install, from the metadata of those that are installed here."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import metadata
from itertools import product
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = "chat-telemetry"
CORE = "always"
EXTRAS = ("binary", "cli", "dbt", "demo")
# The markers of requirements are evaluated for each of them, so that the page is the same wherever it is written.
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PLATFORMS = {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}
POSIX = ("linux", "darwin")


def installed_by(root: Path) -> dict[str, list[str]]:
    """For each package, in order of the names, what brings it: CORE, or else the smallest of the extras."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras: Mapping[str, Sequence[str]] = project["optional-dependencies"]
    roots = {CORE: project["dependencies"]} | {f"`{extra}`": extras[extra] for extra in EXTRAS}
    everywhere = {cause: _closure(root, extras, PLATFORMS) for cause, root in roots.items()}
    on_posix = {cause: _closure(root, extras, POSIX) for cause, root in roots.items()}
    return {
        name: [
            cause if name in on_posix[cause] else f"{cause} on Windows"
            for cause in _smallest([cause for cause, names in everywhere.items() if name in names])
        ]
        for name in sorted(set().union(*everywhere.values()))
    }


def _smallest(causes: Sequence[str]) -> list[str]:
    """Without what is implied: every extra installs what is always installed, and `demo` installs `cli` and `dbt`."""
    if CORE in causes:
        return [CORE]
    return [cause for cause in causes if cause != "`demo`" or len(causes) == 1]


def _closure(requirements: Sequence[str], extras: Mapping[str, Sequence[str]], platforms: Iterable[str]) -> set[str]:
    """The names of the required packages, and of those that they require on one of the platforms."""
    environments = list(_environments(platforms))
    found: set[tuple[str, str]] = set()
    waiting = [each for each in map(Requirement, requirements) if _applies(each, "", environments)]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        for extra in {"", *requirement.extras} - {extra for known, extra in found if known == name}:
            found.add((name, extra))
            further = extras.get(extra, []) if name == PROJECT else _requires(name)
            waiting += [each for each in map(Requirement, further) if _applies(each, extra, environments)]
    return {name for name, _ in found} - {PROJECT}


def _requires(name: str) -> list[str]:
    """Nothing if the package is not installed here."""
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []


def _applies(requirement: Requirement, extra: str, environments: Iterable[dict[str, str]]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({**environment, "extra": extra}) for environment in environments)


def _environments(platforms: Iterable[str]) -> Iterator[dict[str, str]]:
    for python, platform in product(PYTHONS, platforms):
        yield {
            **{name: str(value) for name, value in default_environment().items()},
            "python_version": python,
            "python_full_version": f"{python}.0",
            "sys_platform": platform,
            "platform_system": PLATFORMS[platform],
            "os_name": "nt" if platform == "win32" else "posix",
        }
