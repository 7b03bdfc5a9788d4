"""What the tests on a cluster share: databases of the coordinator, and logins that exist on every node."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import psycopg
import pytest
from psycopg import sql

from tests.citus.server import CitusServer
from tests.cli.conftest import cli
from tests.conftest import CITUS, Database, Server, copy_of
from tests.dbt_project import DbtProject, template_with_prices

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


@pytest.fixture
def cluster(postgres: Server) -> CitusServer:
    assert isinstance(postgres, CitusServer)
    return postgres


@pytest.fixture
def logins(cluster: CitusServer) -> dict[str, str]:
    """The logins, by the role that they are members of. Citus creates them on the workers too."""
    with psycopg.connect(cluster.conninfo(cluster.template()), autocommit=True) as connection:
        for login, role in LOGINS.items():
            with suppress(psycopg.errors.DuplicateObject):
                connection.execute(sql.SQL("create role {} login createrole").format(sql.Identifier(login)))
            if role:
                connection.execute(sql.SQL("grant {} to {}").format(sql.Identifier(role), sql.Identifier(login)))
    return {role: login for login, role in LOGINS.items() if role}


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
