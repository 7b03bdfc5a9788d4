"""Each list of the project stands once, or in several places that agree."""

from __future__ import annotations

from chat_telemetry._cli.sql_project import project_directory
from tests.conftest import Database
from tests.lists import faults


def test_the_lists_of_the_project_agree(database: Database) -> None:
    with database.connect() as connection:
        assert faults(project_directory(), connection) == []
