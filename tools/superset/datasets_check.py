"""The datasets compared with the database: the same columns, types and comments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg

from tools.superset.client import Client
from tools.superset.datasets import SCHEMA

# Of each relation its comment, and of each column its type and comment.
CATALOG = """\
select
    c.relname,
    coalesce(a.attname, ''),
    coalesce(pg_catalog.format_type(a.atttypid, a.atttypmod), ''),
    pg_catalog.col_description(c.oid, coalesce(a.attnum, 0))
from pg_catalog.pg_class as c
inner join pg_catalog.pg_attribute as a on c.oid = a.attrelid and a.attnum > 0
where c.relnamespace = pg_catalog.to_regnamespace(%s) and c.relkind in ('m', 'v')
union all
select c.relname, '', '', pg_catalog.obj_description(c.oid, 'pg_class')
from pg_catalog.pg_class as c
where c.relnamespace = pg_catalog.to_regnamespace(%s) and c.relkind in ('m', 'v')
"""
Described = dict[tuple[str, str], tuple[str, str]]  # relation and column: type and comment


def differing_datasets(client: Client, connection: psycopg.Connection[Any]) -> Iterator[str]:
    """One line for each column that one of both sides does not have or describes in other words."""
    wanted, found = in_database(connection), in_superset(client)
    for place in sorted(wanted.keys() | found.keys()):
        if wanted.get(place) != found.get(place):
            yield f"dataset {'.'.join(place)}: {found.get(place)}, in the database {wanted.get(place)}"


def in_database(connection: psycopg.Connection[Any]) -> Described:
    rows = connection.execute(CATALOG, (SCHEMA, SCHEMA)).fetchall()
    return {(name, column): (type_, " ".join((comment or "").split())) for name, column, type_, comment in rows}


def in_superset(client: Client) -> Described:
    found: Described = {}
    for entry in client.list("dataset"):
        dataset = client.get(f"/api/v1/dataset/{entry['id']}")["result"]
        name = dataset["table_name"]
        found[name, ""] = ("", dataset["description"])
        physical = (column for column in dataset["columns"] if not column["expression"])
        found |= {
            (name, column["column_name"]): (column["type"].lower().replace(", ", ","), column["description"])
            for column in physical
        }
    return found
