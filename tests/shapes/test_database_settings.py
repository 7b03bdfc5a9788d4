"""The shape of a text is the same in databases with other settings, locales and locale providers."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from chat_telemetry._cli.migrations import apply_migrations
from tests.conftest import Database, Server
from tests.shapes.conftest import shapes_on
from tests.shapes.oracle import shape
from tests.shapes.test_small_inputs import EMPTY, EXACT, SAME

TEXTS = [
    *EMPTY,
    *EXACT,
    *(text for _, *texts in SAME.values() for text in texts),
    "SELECT \u0130I\u0131i, 'ß' FROM ÄÖ, straße",
]
# The database has them while the function is created and while it is called.
SETTINGS = {
    "standard_conforming_strings": "off",
    "backslash_quote": "on",
    "escape_string_warning": "off",
    "array_nulls": "off",
    "search_path": "",
}
ICU = {"locale_provider": "icu", "icu_locale": "tr-TR"}
BUILTIN = {"locale_provider": "builtin", "builtin_locale": "C.UTF-8"}
LOCALES = [{"lc_collate": "C", "lc_ctype": "C"}, {"lc_collate": "C.UTF-8", "lc_ctype": "C.UTF-8"}]


def locales_of(server: Server) -> list[dict[str, str]]:
    """PostgreSQL has the builtin provider from 17 on, and ICU if it was built with it."""
    with psycopg.connect(server.conninfo("postgres")) as connection:
        names = {name for (name,) in connection.execute("select collname from pg_catalog.pg_collation")}
    return [*LOCALES, *([BUILTIN] if "pg_c_utf8" in names else []), *([ICU] if "und-x-icu" in names else [])]


@contextmanager
def migrated(
    server: Server, locale: dict[str, str], settings: dict[str, str], encoding: str = "UTF8"
) -> Iterator[Database]:
    name = f"test_{uuid.uuid4().hex[:16]}"
    statement = sql.SQL("create database {} template template0 encoding {}").format(sql.Identifier(name), encoding)
    for option, value in locale.items():
        statement += sql.SQL(" {} {}").format(sql.Identifier(option), sql.Literal(value))
    server.execute(statement)
    try:
        for setting, value in settings.items():
            change = sql.SQL("alter database {} set {} = {}")
            server.execute(change.format(sql.Identifier(name), sql.Identifier(setting), sql.Literal(value)))
        database = Database(server, name)
        apply_migrations(database.conninfo)
        yield database
    finally:
        server.drop_database(name)


def assert_shapes(database: Database) -> None:
    with database.connect() as connection:
        found = dict(zip(TEXTS, shapes_on(connection)(TEXTS), strict=True))
    assert found == {text: shape(text) for text in TEXTS}


def test_settings_of_the_database_do_not_matter(postgres: Server) -> None:
    with migrated(postgres, {}, SETTINGS) as database:
        assert_shapes(database)


def test_the_locale_of_the_database_does_not_matter(postgres: Server) -> None:
    for locale in locales_of(postgres):
        with migrated(postgres, locale, {}) as database:
            assert_shapes(database)


def test_the_encoding_of_the_database_does_not_matter(postgres: Server) -> None:
    texts = [text for text in TEXTS if text.encode("latin1", "ignore").decode("latin1") == text]
    assert len(texts) > 100
    with migrated(postgres, LOCALES[0], {}, "LATIN1") as database, database.connect() as connection:
        connection.execute("set client_encoding to 'UTF8'")
        assert shapes_on(connection)(texts) == [shape(text) for text in texts]
        assert shapes_on(connection)(["select " * 20_000]) == [("select " * 20_000)[:100_000].strip() + " ..."]
