"""Where the SQL side of the project is: `_project/` inside the package in a wheel, the root of a clone otherwise."""

from __future__ import annotations

from pathlib import Path


def project_directory() -> Path:
    """The directory that holds `migrations/` and `dbt_project.yml`."""
    package = Path(__file__).resolve().parents[1]
    in_wheel = package / "_project"
    return in_wheel if in_wheel.is_dir() else package.parents[1]
