"""Whether the price lists of the database are those of the installed project."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path

import psycopg
from psycopg import errors as sqlstate
from psycopg import sql

from chat_telemetry._cli.options import transaction
from chat_telemetry._cli.sql_project import project_directory

SCHEMA = "chat_prices"
ROWS = sql.SQL("select {} from {}")


def are_loaded(connection: psycopg.Connection) -> bool:
    """False if a list is missing or has other rows, so that `dbt seed` has something to do. Raises psycopg.Error."""
    return all(_is_loaded(connection, path) for path in sorted((project_directory() / "seeds").glob("*.csv")))


def _is_loaded(connection: psycopg.Connection, path: Path) -> bool:
    with path.open(encoding="utf-8", newline="") as file:
        header, *lines = csv.reader(file)
    columns = sql.SQL(", ").join(map(sql.Identifier, header))
    try:
        with transaction(connection):
            rows = connection.execute(ROWS.format(columns, sql.Identifier(SCHEMA, path.stem))).fetchall()
    except (sqlstate.UndefinedTable, sqlstate.UndefinedColumn, sqlstate.InsufficientPrivilege):
        return False
    types = [next((type(value) for value in column if value is not None), str) for column in zip(*rows, strict=True)]
    try:
        return Counter(rows) == Counter(tuple(map(_value, line, types)) for line in lines)
    except (ValueError, InvalidOperation):
        return False


def _value(text: str, kind: type) -> object:
    """A cell as the database returns it."""
    if not text:
        return None
    if kind is Decimal:
        return Decimal(text)
    return date.fromisoformat(text) if kind is date else text
