from __future__ import annotations

from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from psycopg.conninfo import conninfo_to_dict
from pydantic import PostgresDsn, SecretBytes, SecretStr, TypeAdapter

from chat_telemetry import TelemetryClient
from chat_telemetry._database_url import fault, normalized
from chat_telemetry._settings import database_url

URL = "postgresql://app:hunter2@db.example.com:5433/orders"
PARTS = {"user": "app", "password": "hunter2", "host": "db.example.com", "port": "5433", "dbname": "orders"}
REST = URL.removeprefix("postgresql")
KNOWN = {"host", "sslmode"}


@pytest.mark.parametrize(
    "given",
    [
        URL,
        f"  {URL}\r\n",
        f"\ufeff{URL}\n",
        f'"{URL}"',
        f"'{URL}'\n",
        f"postgres{REST}",
        f"postgresql+psycopg{REST}",
        f"postgresql+psycopg2{REST}",
        f"postgresql+asyncpg{REST}",
        f"postgres+asyncpg{REST}",
        f"POSTGRESQL{REST}",
        f"postgis{REST}",
        f"psql{REST}",
        f"pgsql{REST}",
        "jdbc:postgresql://db.example.com:5433/orders?user=app&password=hunter2",
        f"{URL}?schema=public",
        f"{URL}?pgbouncer=true&connection_limit=1&pool_timeout=20",
        f"{URL}?prepared_statement_cache_size=0",
        f"{URL}?conn_max_age=60",
        f"{URL}?CONN_MAX_AGE=60",
        URL.encode(),
        bytearray(URL.encode()),
        SecretStr(URL),
        SecretBytes(URL.encode()),
        TypeAdapter(PostgresDsn).validate_python(URL),
        SecretStr(f"postgresql+asyncpg{REST}\n"),
        SimpleNamespace(render_as_string=lambda hide_password=True: "***" if hide_password else URL),
        urlsplit(URL),
        "host=db.example.com port=5433 user=app password=hunter2 dbname=orders",
    ],
)
def test_a_connection_string_of_an_application_is_understood(given: object) -> None:
    assert conninfo_to_dict(normalized(given)) == PARTS


@pytest.mark.parametrize(
    ("query", "parameters"),
    [
        ("?sslmode=require&schema=public&application_name=chat", {"sslmode": "require", "application_name": "chat"}),
        ("?schema=public&sslmode=require", {"sslmode": "require"}),
        ("?ssl=require", {"sslmode": "require"}),
        ("?ssl=verify-full", {"sslmode": "verify-full"}),
        ("?ssl=true", {"sslmode": "require"}),
        ("?ssl=false", {}),
        ("?target_session_attrs=read-write", {"target_session_attrs": "read-write"}),
        ("?options=-c%20work_mem%3D64MB", {"options": "-c work_mem=64MB"}),
        ("", {}),
        ("?", {}),
    ],
)
def test_parameters_for_the_database_are_kept_and_those_for_a_library_dropped(
    query: str, parameters: dict[str, str]
) -> None:
    assert conninfo_to_dict(normalized(URL + query)) == {**PARTS, **parameters}


@pytest.mark.parametrize("text", ["", " ", "service=chat", "host=/run password='a ? schema=b'", "hunter2"])
def test_any_other_text_is_only_stripped(text: str) -> None:
    assert normalized(text) == text.strip()


def test_a_blank_in_a_url_is_kept_as_sqlalchemy_renders_it() -> None:
    assert conninfo_to_dict(normalized("postgresql+psycopg://app:a b%40c@host/d")).get("password") == "a b@c"


def test_a_password_with_a_question_mark_is_left_to_libpq() -> None:
    assert normalized("postgres://app:a?schema=b@host/orders") == "postgresql://app:a?schema=b@host/orders"


@pytest.mark.parametrize(
    "dsn", [5, {"host": "db"}, ["host=db"], object(), SecretStr, SimpleNamespace(get_secret_value=lambda: None)]
)
def test_another_object_is_a_type_error_of_the_client_that_says_what_is_expected(dsn: object) -> None:
    with pytest.raises(TypeError, match=r"dsn (must be a connection string|cannot be read)") as failure:
        TelemetryClient(dsn)
    assert "hunter2" not in str(failure.value)


def test_an_object_that_cannot_be_rendered_is_a_type_error_without_its_contents() -> None:
    def fail() -> str:
        raise ValueError("hunter2")

    with pytest.raises(TypeError, match=r"cannot be read from SimpleNamespace \(ValueError\)"):
        normalized(SimpleNamespace(get_secret_value=fail))


@pytest.mark.parametrize(
    ("conninfo", "cause"),
    [
        ("mysql://app:hunter2@host/orders", "it begins with `mysql:`, and the log is in PostgreSQL: expected"),
        ("sqlite:///hunter2.db", "it begins with `sqlite:`"),
        ("jdbc:mysql://host/orders?password=hunter2", "it begins with `mysql:`"),
        ("prisma+postgres://accelerate/?api_key=hunter2", "it begins with `prisma+postgres:`"),
        ("app:hunter2@host/orders", "it has no scheme: expected"),
        ("hunter2", "it has no scheme"),
        (f"{URL}?hosts=hunter2", "does not know its parameter `hosts`: remove it"),
        (f"{URL}?sslmode=require&foo=hunter2", "`foo`"),
        ("postgresql://app:pass?hunter2=word@host/orders", "percent-encode special characters"),
        (f"{URL}?hunter2", "percent-encode"),
        ("postgresql://app:%hunter2@host/orders", "percent-encode"),
        ("host=db hunter2", "see `Connection Strings`"),
        ("password=mysql://hunter2 x", "see `Connection Strings`"),
    ],
)
def test_a_fault_is_named_without_a_part_of_the_password(conninfo: str, cause: str) -> None:
    text = fault(normalized(conninfo), KNOWN)
    assert cause in text
    assert "hunter2" not in text


@pytest.mark.parametrize("text", ["", " \n", '""'])
def test_a_variable_without_a_value_counts_as_missing(text: str) -> None:
    assert database_url({"CHAT_TELEMETRY_DATABASE_URL": text}) is None


def test_the_variable_is_understood_like_the_argument() -> None:
    assert database_url({"CHAT_TELEMETRY_DATABASE_URL": f'"postgresql+psycopg{REST}"\n'}) == URL
