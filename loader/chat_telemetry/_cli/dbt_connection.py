"""Where dbt connects: a URL in CHAT_TELEMETRY_DBT_URL, or the variables that profiles.yml reads."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Conninfo

from chat_telemetry._cli.errors import DatabaseFailed, NotReady, UsageError, server_message
from chat_telemetry._cli.options import checked_url, connect

DEFAULT_USER = "telemetry_transformer"
PASSWORD = "DBT_ENV_SECRET_CHAT_TELEMETRY_PASSWORD"  # noqa: S105  # the name of a variable
# The parameters of a connection, each with the variable of profiles.yml.
VARIABLES = {
    "host": "CHAT_TELEMETRY_DBT_HOST",
    "port": "CHAT_TELEMETRY_DBT_PORT",
    "user": "CHAT_TELEMETRY_DBT_USER",
    "dbname": "CHAT_TELEMETRY_DBT_DATABASE",
    "password": PASSWORD,
}
# profiles.yml sets its own, or nobody misses them.
IGNORED = (
    *("connect_timeout", "application_name", "fallback_application_name", "client_encoding", "tcp_user_timeout"),
    *("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"),
)


@dataclass(frozen=True)
class DbtConnection:
    """How dbt connects, and the name of its target schema."""

    parameters: Mapping[str, str]
    """The parameters of the connection, as libpq names them."""
    schema: str
    source: str
    """What the user has set, for messages."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> DbtConnection:
        """Raises NotReady if neither the URL nor the variables are set, and UsageError if dbt cannot use the URL."""
        schema = environment.get("CHAT_TELEMETRY_DBT_SCHEMA", "chat_telemetry")
        if url := environment.get("CHAT_TELEMETRY_DBT_URL", "").strip():
            defaults = {"port": environment.get("PGPORT", "5432"), "user": DEFAULT_USER}
            return cls(defaults | _parameters_of(url), schema, "CHAT_TELEMETRY_DBT_URL does")
        defaults = {"port": "5432", "user": DEFAULT_USER}
        parameters = {name: environment.get(variable, defaults.get(name)) for name, variable in VARIABLES.items()}
        if missing := [VARIABLES[name] for name, value in parameters.items() if value is None]:
            raise NotReady(
                f"the connection of dbt is not known: set CHAT_TELEMETRY_DBT_URL, or {', '.join(sorted(missing))}"
            )
        given = {name: value for name, value in parameters.items() if value is not None}
        return cls(given, schema, "the variables CHAT_TELEMETRY_DBT_* do")

    def environment(self) -> dict[str, str]:
        """The variables with which dbt connects in the same way."""
        of_libpq = _variables_of_libpq()
        variables = {
            of_libpq[name]: value
            for name, value in self.parameters.items()
            if name not in VARIABLES and name not in IGNORED
        }
        # Without a password of their own, libpq reads ~/.pgpass.
        return variables | {variable: self.parameters.get(name, "") for name, variable in VARIABLES.items()}

    @contextmanager
    def connected(self) -> Iterator[psycopg.Connection]:
        """A connection as dbt has it. Raises DatabaseFailed if the server does not accept it."""
        try:
            connection = connect(make_conninfo(**{name: value for name, value in self.parameters.items() if value}))
        except psycopg.Error as error:
            raise DatabaseFailed(f"{self.source} not connect dbt: {server_message(error)}") from error
        with connection:
            yield connection


def _variables_of_libpq() -> dict[str, str]:
    """By parameter, the variable of the environment from which libpq reads it, or an empty text."""
    return {option.keyword.decode(): (option.envvar or b"").decode() for option in Conninfo.get_defaults()}


def _parameters_of(url: str) -> dict[str, str]:
    parameters = {name: str(value) for name, value in conninfo_to_dict(checked_url(url)).items()}
    of_libpq = _variables_of_libpq()
    for name in parameters:
        if name in ("service", "options") or not (of_libpq[name] or name in IGNORED):
            raise UsageError(f"CHAT_TELEMETRY_DBT_URL: dbt cannot use the parameter `{name}`, remove it")
    if "dbname" not in parameters:
        raise UsageError("CHAT_TELEMETRY_DBT_URL names no database")
    return parameters
