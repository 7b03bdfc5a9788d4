"""Where the SQL side of the project is: `_project/` inside the package in a wheel, the root of a clone otherwise."""

from __future__ import annotations

import hashlib
from pathlib import Path

# What dbt reads of the project.
DBT_FILES = (
    *("dbt_project.yml", "profiles.yml", "selectors.yml"),
    *("models/**/*", "macros/**/*", "seeds/*", "tests/dbt/**/*"),
)


def project_directory() -> Path:
    """The directory that holds `migrations/` and `dbt_project.yml`."""
    package = Path(__file__).resolve().parents[1]
    in_wheel = package / "_project"
    return in_wheel if in_wheel.is_dir() else package.parents[1]


def project_fingerprint() -> str:
    """Differs after a change of a file that dbt reads. By time and size, so that it costs a millisecond."""
    found = hashlib.sha256()
    for path in sorted(path for pattern in DBT_FILES for path in project_directory().glob(pattern)):
        stat = path.stat()
        found.update(f"{path} {stat.st_mtime_ns} {stat.st_size}\n".encode())
    return found.hexdigest()
