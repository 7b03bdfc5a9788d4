"""A column has one description: the comment in the database is the one in dbt's documentation and in docs/reports.md.

The table heads of the dashboard and `\\d+` in psql read the comment.
"""

from __future__ import annotations

import pytest

from chat_telemetry._cli.sql_project import project_directory
from tests.conftest import SERVERS
from tests.dbt_project import DbtProject
from tests.reports.contract import COLUMNS
from tools.descriptions import descriptions

pytestmark = pytest.mark.parametrize("postgres", SERVERS[-1:], indirect=True, scope="session")

COMMENTS = """
select c.relname, a.attname, col_description(a.attrelid, a.attnum)
from pg_attribute as a inner join pg_class as c on a.attrelid = c.oid
where c.relnamespace = 'chat_reports'::regnamespace and c.relkind in ('m', 'v') and a.attnum > 0
order by c.relname, a.attnum
"""


def test_the_page_shows_the_comments_of_the_database(ours: DbtProject) -> None:
    found: dict[str, dict[str, str]] = {}
    with ours.database.connect() as connection:
        for view, column, comment in connection.execute(COMMENTS):
            found.setdefault(view, {})[column] = comment
    described = descriptions(project_directory())
    assert found == {name: view.columns for name, view in described.items()}
    assert {view: [*columns] for view, columns in found.items() if view in COLUMNS} == COLUMNS
