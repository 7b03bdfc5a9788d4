"""The dbt project on a database of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Database
from tests.dbt_project import DbtProject


@pytest.fixture
def project(database: Database, tmp_path: Path) -> DbtProject:
    """The dbt project on a migrated database without rows."""
    return DbtProject(database, tmp_path)
