"""What the tests on a cluster share: databases of the coordinator, and logins that exist on every node."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from tests.citus.server import CitusServer
from tests.cli.conftest import cli
from tests.conftest import CITUS, Database, Server, copy_of
from tests.dbt_project import DbtProject, template_with_prices
from tests.migrations.catalog import snapshot

__all__ = ["cli"]

ON_CITUS = [
    pytest.mark.citus,
    pytest.mark.parametrize("postgres", [CITUS], indirect=True, scope="session"),
]
# Nodes connect to each other as the login of the session, so it has to exist on each of them.
LOGINS = {
    "citus_test_owner": None,
    "citus_test_chat": "service_role",
    "citus_test_writer": "telemetry_writer",
    "citus_test_reader": "telemetry_reader",
    "citus_test_dbt": "telemetry_transformer",
}
OWNED = """
select format('alter schema %s owner to citus_test_owner', n) from unnest(array['chat_rollups', 'chat_reports']) as n
union all
select format('alter table %s owner to citus_test_owner', oid::regclass) from pg_class
where
    relkind in ('r', 'v')
    and relnamespace in ('auth'::regnamespace, 'chat_rollups'::regnamespace)
    or oid::regclass::text ~ '^chat_(telemetry_(log|changes|erased_users)|conversations)$'
union all
select distinct format('alter function %s owner to citus_test_owner', tgfoid::regprocedure) from pg_trigger
where not tgisinternal and tgfoid::regproc::text ~ '^(chat_telemetry_|compute_sql_fingerprint)'
"""


@pytest.fixture
def cluster(postgres: Server) -> CitusServer:
    assert isinstance(postgres, CitusServer)
    return postgres


@pytest.fixture(scope="session")
def logins(postgres: Server) -> Iterator[dict[str, str]]:
    """The logins, by the role that they are members of. Citus creates them on the workers too."""
    assert isinstance(postgres, CitusServer)
    with psycopg.connect(postgres.conninfo(postgres.template()), autocommit=True) as connection:
        for login, role in LOGINS.items():
            connection.execute(sql.SQL("drop role if exists {}").format(sql.Identifier(login)))
            connection.execute(sql.SQL("create role {} login").format(sql.Identifier(login)))
            if role:
                connection.execute(sql.SQL("grant {} to {}").format(sql.Identifier(role), sql.Identifier(login)))
    yield {role: login for login, role in LOGINS.items() if role}
    with psycopg.connect(postgres.conninfo(postgres.template()), autocommit=True) as connection:
        for login in LOGINS:
            connection.execute(sql.SQL("drop role {}").format(sql.Identifier(login)))


@pytest.fixture
def migrated(cluster: CitusServer) -> Iterator[Database]:
    """A migrated database that is not distributed yet."""
    database = cluster.create_database(cluster.migrated())
    yield database
    cluster.drop_database(database.name)


@pytest.fixture
def project(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DbtProject]:
    """The dbt project on a distributed database with price lists."""
    with copy_of(postgres, template_with_prices(postgres)) as database:
        yield DbtProject(database, tmp_path_factory.mktemp("dbt"))


def schema(database: Database) -> list[tuple[str, str, str]]:
    """Without the constraints NOT NULL, which Citus gives other names; the columns tell them too."""
    with database.connect() as connection:
        return [row for row in snapshot(connection) if not row[2].startswith("NOT NULL")]


def give_to_owner(database: Database) -> str:
    """Give a login that is no superuser what it would own if it had migrated; returns its connection string."""
    with database.connect() as connection:
        connection.execute(f"alter database {database.name} owner to citus_test_owner")
        connection.execute("grant all on schema auth, public to citus_test_owner")
        for (statement,) in connection.execute(OWNED).fetchall():
            connection.execute(statement)
    return database.conninfo_as("citus_test_owner")
