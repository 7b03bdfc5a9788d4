"""A real PostgreSQL for every test: the embedded 16 and 18, or the server in CHAT_TELEMETRY_TEST_DATABASE_URL.

CHAT_TELEMETRY_TEST_SERVERS names others: `make test-postgres-15` sets it to postgres15, which is Debian's.
Each worker migrates one template database per server. Each test gets a copy of it.
"""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from chat_telemetry._cli.embedded_postgres import EmbeddedPostgres
from chat_telemetry._cli.migrations import apply_migrations
from chat_telemetry._cli.postgres_cluster import PostgresCluster
from tests.debian_postgres import DebianPostgres, require_debian_postgres

# dbt 1.12 reads a .env file into the environment of this process. One in the clone must not reach the tests.
os.environ["PYTHON_DOTENV_DISABLED"] = "1"
EMBEDDED = {"postgres16": 16, "postgres18": 18}
DEBIAN = "postgres15"
CITUS = "citus"
# The servers that the tests start, and those of which each test gets one.
CLUSTERS = os.environ.get("CHAT_TELEMETRY_TEST_SERVERS", "").split() or list(EMBEDDED)
EXTERNAL_URL = os.environ.get("CHAT_TELEMETRY_TEST_DATABASE_URL")
CITUS_URL = os.environ.get("CHAT_TELEMETRY_TEST_CITUS_URL")
NO_CITUS = "no Citus cluster: set CHAT_TELEMETRY_TEST_CITUS_URL; docs/development.md says how to get one"
SERVERS = ["external"] if EXTERNAL_URL else CLUSTERS
# A test database lives for seconds, so it does not have to survive a power cut.
FAST_AND_LOOSE = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "max_wal_size": "128MB",
}
# A database is 300 files, which some disks create ten times as slowly as memory does.
MEMORY = Path("/dev/shm")  # noqa: S108
ROOM = 8 << 30


def pytest_configure() -> None:
    """Raise UsageError, which ends the run with one line, if a server cannot be had."""
    known = [*EMBEDDED, DEBIAN, CITUS]
    unknown = set(CLUSTERS) - set(known)
    if unknown:
        raise pytest.UsageError(f"CHAT_TELEMETRY_TEST_SERVERS: {unknown.pop()} is not {', '.join(known)}")
    if DEBIAN in SERVERS:
        require_debian_postgres()


def pytest_collection_finish() -> None:
    """Let the garbage collector look no more at the thousands of tests and modules that stay until the end."""
    gc.collect()
    gc.freeze()


def cluster_directory() -> tempfile.TemporaryDirectory[str]:
    """A new directory for the files of a server: in memory if there is room, which many containers do not have."""
    in_memory = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM
    return tempfile.TemporaryDirectory(prefix="ctpg-", dir=MEMORY if in_memory else None)


@contextmanager
def running_cluster(name: str) -> Iterator[PostgresCluster]:
    """A new cluster of one of CLUSTERS, in which no migration has created roles yet."""
    with cluster_directory() as directory:
        cluster: PostgresCluster
        if name == DEBIAN:
            cluster = DebianPostgres(Path(directory), settings=FAST_AND_LOOSE)
        else:
            cluster = EmbeddedPostgres(Path(directory), version=EMBEDDED[name], settings=FAST_AND_LOOSE)
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop("immediate")


class Server:
    """A PostgreSQL server on which tests create databases. `cluster` is None for an external one."""

    def __init__(self, admin_conninfo: str, cluster: PostgresCluster | None = None) -> None:
        self.cluster = cluster
        self._admin_conninfo = admin_conninfo
        self._templates: dict[str, str] = {}

    def conninfo(self, dbname: str, user: str | None = None) -> str:
        if self.cluster:
            return self.cluster.conninfo(dbname, user or "postgres")
        return make_conninfo(self._admin_conninfo, dbname=dbname, **({"user": user} if user else {}))

    def address(self) -> tuple[str, int]:
        """Host and port for TCP. An external server that is reached by a Unix socket has to listen on 127.0.0.1 too."""
        if self.cluster:
            return "127.0.0.1", self.cluster.port
        with psycopg.connect(self._admin_conninfo) as connection:
            host = connection.info.host
            return "127.0.0.1" if host.startswith("/") else host, connection.info.port

    def execute(self, statement: sql.SQL | sql.Composed) -> None:
        with psycopg.connect(self._admin(), autocommit=True) as connection:
            connection.execute(statement)

    def create_database(self, template: str = "template1", owner: str | None = None, name: str = "") -> Database:
        name = name or f"test_{uuid.uuid4().hex[:16]}"
        statement = sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(template))
        self.execute(statement + sql.SQL(" owner {}").format(sql.Identifier(owner)) if owner else statement)
        return Database(self, name)

    def drop_database(self, name: str) -> None:
        self.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))

    def template(self) -> str:
        """The name of a migrated database."""
        return self.template_with("migrations", "template1", lambda database: apply_migrations(database.conninfo))

    def template_with(self, what: str, template: str, add: Callable[[Database], object]) -> str:
        """The name of a copy of a template to which `add` added something. The first call for `what` creates it."""
        if what not in self._templates:
            database = self.create_database(template)
            add(database)
            self._templates[what] = database.name
        return self._templates[what]

    def drop_templates(self) -> None:
        for name in self._templates.values():
            self.drop_database(name)

    def _admin(self) -> str:
        return self.cluster.conninfo() if self.cluster else self._admin_conninfo


@dataclass(frozen=True)
class Database:
    """One database of a test, and the connections to it."""

    server: Server
    name: str

    @property
    def conninfo(self) -> str:
        """The connection string of the administrator."""
        return self.server.conninfo(self.name)

    def conninfo_as(self, user: str) -> str:
        """The connection string of another role, without a password: only a server of the tests accepts that."""
        return self.server.conninfo(self.name, user)

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(self.conninfo, autocommit=True)

    def as_role(self, role: str) -> psycopg.Connection:
        """A session with the privileges of `role` only."""
        connection = self.connect()
        connection.execute(sql.SQL("set session authorization {}").format(sql.Identifier(role)))
        return connection

    def add_users(self, count: int = 1) -> list[uuid.UUID]:
        with self.connect() as connection:
            rows = connection.execute("insert into auth.users select from generate_series(1, %s) returning id", [count])
            return [row[0] for row in rows]

    def let_the_application_own_users(self) -> None:
        """From now on `auth.users` is not made by the migrations, so that the loader inserts no users into it."""
        with self.connect() as connection:
            connection.execute("comment on table auth.users is 'Of the application.'")

    def add_conversations(self, users: list[uuid.UUID]) -> list[uuid.UUID]:
        with self.connect() as connection:
            rows = connection.execute(
                "insert into public.chat_conversations (user_id) select unnest(%s::uuid[]) returning conversation_id",
                [users],
            )
            return [row[0] for row in rows]


@pytest.fixture(scope="session", params=SERVERS)
def postgres(request: pytest.FixtureRequest) -> Iterator[Server]:
    """One server per worker and version."""
    if EXTERNAL_URL:
        server = Server(EXTERNAL_URL)
        yield server
        server.drop_templates()
        return
    if request.param == CITUS:
        if not CITUS_URL:
            pytest.skip(NO_CITUS)
        from tests.citus.server import CitusServer  # noqa: PLC0415 - it imports this module

        server = CitusServer(CITUS_URL)
        yield server
        server.drop_templates()
        return
    with running_cluster(request.param) as cluster:
        yield Server(cluster.conninfo(), cluster)


@pytest.fixture
def empty_database(postgres: Server) -> Iterator[Database]:
    """A database without migrations."""
    database = postgres.create_database()
    yield database
    postgres.drop_database(database.name)


@pytest.fixture
def database(postgres: Server) -> Iterator[Database]:
    """A migrated database. It has the same name in each test of this process."""
    with copy_of(postgres, postgres.template()) as copy:
        yield copy


@contextmanager
def copy_of(postgres: Server, template: str, what: str = "test") -> Iterator[Database]:
    """A copy that has the same name in each test of this process, so that dbt need not parse its project again."""
    name = f"{what}_{os.getpid()}"
    postgres.drop_database(name)
    yield postgres.create_database(template, name=name)
    postgres.drop_database(name)
