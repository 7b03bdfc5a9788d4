"""The recipes of CONTRIBUTING.md, walked on a copy of the project, and each of their places forgotten once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import SERVERS, Database
from tests.dbt_project import DbtProject
from tests.lists import feed_problems, problems, run_python
from tests.recipes.changes import ADD_COLUMN, ADD_PROVIDER, ADD_REPORT, API, COLUMN, MIGRATION, REPORT, REPORT_COLUMNS
from tests.recipes.recipe import Edit, apply_all, copied_project, places_in
from tests.reports.history.column import STATEMENTS, TABLES, statement_of
from tools.report_columns import new_page

# What the lists say does not depend on the version of the server.
on_one_server = pytest.mark.parametrize("postgres", SERVERS[-1:], indirect=True, scope="session")
RECIPES = {
    "Add a column to the log": ADD_COLUMN,
    "Add a report": ADD_REPORT,
    "Add a provider": ADD_PROVIDER,
}
AS_OF = "2026-11-22"
PERSIST = f"""
import sys
from uuid import UUID
from chat_telemetry import TelemetryClient, TelemetryRecord
with TelemetryClient(sys.argv[1]) as client:
    client.persist(TelemetryRecord(user_id=UUID(sys.argv[2]), user_question="How many?", {COLUMN}="v" * 90_000))
"""
DIFFERENCES = """
import sys, psycopg
from tests.reports.contract import differences
with psycopg.connect(sys.argv[1]) as connection:
    print(differences(connection, sys.argv[2], sys.argv[3]))
"""


def places(edits: list[Edit]) -> list[str]:
    return list(dict.fromkeys(edit.place for edit in edits))


def migrated_problems(root: Path, database: Database) -> list[str]:
    """What the lists of the copy say, with its own new migration in the database."""
    with database.connect() as connection:
        if (root / MIGRATION).exists():
            connection.execute((root / MIGRATION).read_text(encoding="utf-8"))
        return problems(root, connection)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return copied_project(tmp_path)


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_checklist_names_the_places_that_the_change_needs(recipe: str) -> None:
    names = {REPORT: "NAME", API: "NAME"}
    expected = places(RECIPES[recipe])
    for name, placeholder in names.items():
        expected = [place.replace(name, placeholder) for place in expected]
    assert sorted(places_in(recipe)) == sorted(expected)


@on_one_server
@pytest.mark.parametrize(
    ("recipe", "forgotten"), [(recipe, place) for recipe, edits in RECIPES.items() for place in places(edits)]
)
def test_a_forgotten_place_is_named(root: Path, database: Database, recipe: str, forgotten: str) -> None:
    apply_all(root, RECIPES[recipe], but=forgotten)
    found = migrated_problems(root, database)
    assert any(problem.startswith(forgotten.removesuffix("NEW.sql")) for problem in found), found


@on_one_server
def test_a_new_column_is_stored_and_its_length_is_limited(root: Path, database: Database) -> None:
    apply_all(root, ADD_COLUMN)
    assert migrated_problems(root, database) == []
    (user,) = database.add_users()
    run_python(root, "-c", PERSIST, database.conninfo, str(user))
    with database.connect() as connection:
        stored = connection.execute(f"select {COLUMN} from public.chat_telemetry_log").fetchall()
    assert stored == [("v" * 499 + "…",)]


@on_one_server
def test_a_new_report_is_built_compared_and_printed(root: Path, database: Database, tmp_path: Path) -> None:
    apply_all(root, ADD_REPORT)
    assert migrated_problems(root, database) == []
    users = database.add_users(3)
    with database.connect() as connection:
        for user, day in [(users[0], "2026-11-21"), (users[1], "2026-11-21"), (users[0], "2026-11-22")]:
            connection.execute(
                "insert into public.chat_telemetry_log (user_id, user_question, created_at) values (%s, 'q', %s)",
                [user, f"{day} 12:00+00"],
            )
    DbtProject(database, tmp_path, root).run("build", "--exclude", "tag:reconcile", report_as_of=AS_OF)
    assert run_python(root, "-c", DIFFERENCES, database.conninfo, REPORT, AS_OF) == "[]\n"
    printed = run_python(
        root, "-m", "chat_telemetry", "report", REPORT, "--format", "json", "--database-url", database.conninfo
    )
    rows = [("2026-11-22", 1), ("2026-11-21", 2)]
    assert json.loads(printed) == [dict(zip(REPORT_COLUMNS, row, strict=True)) for row in rows]
    assert "| `user_count` | Users of the day. Never sum it," in new_page(root)


@on_one_server
def test_a_new_provider_is_read(root: Path, database: Database) -> None:
    apply_all(root, ADD_PROVIDER)
    assert migrated_problems(root, database) == []
    run_python(root, "-m", "pytest", "tests/loader/observe/test_usage.py", "-k", f"capture and {API}")


@on_one_server
@pytest.mark.parametrize("forgotten", STATEMENTS, ids=[statement[1].split()[-1] for statement in STATEMENTS])
def test_a_definition_that_lacks_a_column_of_the_feed_is_named(
    database: Database, forgotten: tuple[str, str, list[tuple[str, str]]]
) -> None:
    with database.connect() as connection:
        for statement in [TABLES, *(statement_of(*other) for other in STATEMENTS if other != forgotten)]:
            connection.execute(statement)
        (problem,) = feed_problems(connection)
        assert problem.split(":")[0].split("(")[0] in forgotten[1]
        connection.execute(statement_of(*forgotten))
        assert feed_problems(connection) == []
