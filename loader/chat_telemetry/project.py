"""Where the SQL side of the project is: beside the package in a wheel, at the root of a clone."""

from __future__ import annotations

from pathlib import Path


def project_directory() -> Path:
    """The directory that holds `migrations/` and `dbt_project.yml`."""
    package = Path(__file__).resolve().parent
    in_wheel = package / "_project"
    return in_wheel if in_wheel.is_dir() else package.parents[1]
