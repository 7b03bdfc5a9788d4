"""Each list of the project stands once, or in several places that agree."""

from __future__ import annotations

import pytest

from chat_telemetry._cli.sql_project import project_directory
from tests.conftest import SERVERS, Database
from tests.lists import problems


@pytest.mark.parametrize("postgres", SERVERS[-1:], indirect=True, scope="session")
def test_the_lists_of_the_project_agree(database: Database) -> None:
    with database.connect() as connection:
        assert problems(project_directory(), connection) == []
