"""A table or a column that the database and the dbt project both describe has the same description in both."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from chat_telemetry._cli.sql_project import project_directory
from tests.conftest import Database
from tests.migrations.test_apply import COLUMNS

LOG = "public.chat_telemetry_log"
MODELS = project_directory() / "models"
COMMENTS = """
select c.oid::regclass::text, a.attname, d.description
from pg_description as d
inner join pg_class as c on d.classoid = 'pg_class'::regclass and d.objoid = c.oid
left join pg_attribute as a on c.oid = a.attrelid and d.objsubid = a.attnum and a.attnum > 0
where c.relnamespace in ('public'::regnamespace, 'chat_rollups'::regnamespace)
"""

# (table, column or None for the table itself)
Place = tuple[str, str | None]


def described_tables() -> Iterator[tuple[str, dict[str, Any]]]:
    """The tables of the migrations that sources.yml and the rollups describe, with their schema."""
    for source in yaml.safe_load((MODELS / "sources.yml").read_text(encoding="utf-8"))["sources"]:
        for table in source["tables"]:
            yield f"{source['schema']}.{table['name']}", table
    for path in sorted((MODELS / "rollups").glob("*.yml")):
        for model in yaml.safe_load(path.read_text(encoding="utf-8"))["models"]:
            yield f"chat_rollups.{model['name']}", model


def descriptions() -> list[tuple[Place, str]]:
    found: list[tuple[Place, str]] = []
    for name, table in described_tables():
        found.append(((name, None), table["description"]))
        found += [((name, column["name"]), column["description"]) for column in table.get("columns", [])]
    return found


def comments(database: Database) -> dict[Place, str]:
    with database.connect() as connection:
        connection.execute("set search_path = pg_catalog")
        return {(table, column): text for table, column, text in connection.execute(COMMENTS)}


def test_the_database_and_the_project_describe_a_table_or_column_in_the_same_words(database: Database) -> None:
    of_the_database = comments(database)
    both = [(place, text) for place, text in descriptions() if place in of_the_database]
    assert {place: text for place, text in both if text != of_the_database[place]} == {}
    of_both = {place for place, _ in both}
    assert {(LOG, column) for column in COLUMNS} <= of_both
    assert {(name, None) for name, _ in described_tables()} <= of_both


def test_the_project_lists_the_columns_of_the_log_in_the_order_of_the_table() -> None:
    assert [column for (table, column), _ in descriptions() if table == LOG and column] == COLUMNS
