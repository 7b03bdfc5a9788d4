"""How dbt connects: one URL, or the variables of profiles.yml."""

from __future__ import annotations

import pytest

from chat_telemetry._cli.dbt_connection import DbtConnection
from chat_telemetry._cli.errors import CommandError, NotReady, UsageError

HOST, DATABASE = "CHAT_TELEMETRY_DBT_HOST", "CHAT_TELEMETRY_DBT_DATABASE"
PASSWORD = "DBT_ENV_SECRET_CHAT_TELEMETRY_PASSWORD"  # noqa: S105
URL = "CHAT_TELEMETRY_DBT_URL"


def test_a_url_becomes_the_variables_of_the_profile_and_of_libpq() -> None:
    url = "postgresql+psycopg://dbt:p%40ss%20word@db.example.com:6543/app?sslmode=verify-full&sslrootcert=/ca.pem"
    connection = DbtConnection.from_environment({URL: f'"{url}"', HOST: "other.example.com"})
    assert connection.environment() == {
        HOST: "db.example.com",
        "CHAT_TELEMETRY_DBT_PORT": "6543",
        "CHAT_TELEMETRY_DBT_USER": "dbt",
        DATABASE: "app",
        PASSWORD: "p@ss word",
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": "/ca.pem",
    }


def test_what_a_url_does_not_name_has_the_defaults_of_the_profile() -> None:
    connection = DbtConnection.from_environment(
        {URL: "postgresql:///app?keepalives=1", "CHAT_TELEMETRY_DBT_SCHEMA": "s"}
    )
    assert connection.environment() == {
        HOST: "",
        "CHAT_TELEMETRY_DBT_PORT": "5432",
        "CHAT_TELEMETRY_DBT_USER": "telemetry_transformer",
        DATABASE: "app",
        PASSWORD: "",
    }
    assert connection.schema == "s"


def test_without_a_url_the_variables_are_used_as_they_are() -> None:
    given = {HOST: "db.example.com", DATABASE: "app", PASSWORD: "secret"}
    connection = DbtConnection.from_environment(given)
    assert connection.environment() == {
        **given,
        "CHAT_TELEMETRY_DBT_PORT": "5432",
        "CHAT_TELEMETRY_DBT_USER": "telemetry_transformer",
    }
    assert connection.schema == "chat_telemetry"


@pytest.mark.parametrize(
    ("environment", "error", "message"),
    [
        ({}, NotReady, f"set {URL}, or {DATABASE}, {HOST}, {PASSWORD}"),
        ({HOST: "h", DATABASE: "d"}, NotReady, f"set {URL}, or {PASSWORD}"),
        ({URL: "postgresql://h"}, UsageError, "names no database"),
        ({URL: "service=prod dbname=app"}, UsageError, "cannot use the parameter `service`"),
        ({URL: "postgresql://h/app?options=-csearch_path%3Dx"}, UsageError, "cannot use the parameter `options`"),
        ({URL: "postgresql://h/app?sslpassword=x"}, UsageError, "cannot use the parameter `sslpassword`"),
    ],
)
def test_what_dbt_cannot_use_is_an_error_that_says_what_to_do(
    environment: dict[str, str], error: type[CommandError], message: str
) -> None:
    with pytest.raises(error, match=message):
        DbtConnection.from_environment(environment)
