"""The SQL function on a real server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import psycopg
import pytest

from tests.conftest import Server

Shapes = Callable[[Sequence[str]], list[str | None]]


def shapes_on(connection: psycopg.Connection) -> Shapes:
    """Asks the server for the shapes of many texts in one statement."""

    def shapes(texts: Sequence[str]) -> list[str | None]:
        rows = connection.execute(
            "select public.chat_telemetry_sql_shape(text)"
            " from unnest(%s::text[]) with ordinality as texts (text, number) order by number",
            [list(texts)],
        )
        return [row[0] for row in rows]

    return shapes


@pytest.fixture(scope="session")
def sql_shapes(postgres: Server) -> Iterator[Shapes]:
    """The function in a database of its own, for all tests of a server: it changes nothing there."""
    database = postgres.create_database(postgres.template())
    with database.connect() as connection:
        yield shapes_on(connection)
    postgres.drop_database(database.name)
