"""The site of the pages' examples: PostgreSQL 15 of Debian as `db.example.com`, with TLS, and a clone to work in."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

from chat_telemetry._cli.postgres_cluster import PostgresCluster
from tests.certificates import Certificate
from tests.docs.sections import Block
from tests.docs.shell import Terminal

HOST = "db.example.com"
DATABASE = "app"
OWNER = "app_owner"
# As the pages write it where a password has to stand.
PASSWORD = "…"  # noqa: S105
TIMEOUT_S = 900


@dataclass
class Site:
    """The server, the clone, and the environment in which the commands of the pages run."""

    server: PostgresCluster
    certificate: Certificate
    clone: Path
    scratch: Path
    environment: dict[str, str] = field(init=False)
    done: list[Block] = field(default_factory=list)
    output: str = ""

    def __post_init__(self) -> None:
        home = self.scratch / "home"
        home.mkdir()
        passwords = home / ".pgpass"
        passwords.write_text(f"{HOST}:*:*:*:{PASSWORD}\n", encoding="utf-8")
        passwords.chmod(0o600)
        programs = [str(Path(sys.executable).parent), str(self.server.bin_path), os.environ["PATH"]]
        self.environment = {
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "PATH": os.pathsep.join(programs),
            "PYTHONPATH": str(self.clone / "loader"),
            # In place of a name server, of port 5432 and of an authority that the machine knows.
            "PGHOSTADDR": "127.0.0.1",
            "PGPORT": str(self.server.port),
            "CHAT_TELEMETRY_DBT_PORT": str(self.server.port),
            "PGSSLROOTCERT": str(self.certificate.authority),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        }
        with self.as_administrator("postgres") as connection:
            connection.execute(sql.SQL("alter role postgres password {}").format(sql.Literal(PASSWORD)))

    def run(self, blocks: list[Block]) -> None:
        """Run the blocks; `output` has what they print. What they export is in the environment of later ones."""
        self.output, self.environment = self._terminal().run(blocks, self.environment)
        self.done += blocks

    def prepare(self, command: str) -> None:
        """Run a command that is not on the page, in the environment of those that are."""
        self._terminal().run([Block(Path(__file__), 0, "preparation", "sh", command)], self.environment)

    def url(self, role: str) -> str:
        return f"postgresql://{role}@{HOST}/{DATABASE}?sslmode=verify-full"

    def connect(self, role: str) -> psycopg.Connection:
        """Log in with a password over TLS, as a program on another machine does."""
        return psycopg.connect(
            self.url(role),
            hostaddr="127.0.0.1",
            port=self.server.port,
            password=PASSWORD,
            sslrootcert=str(self.certificate.authority),
            autocommit=True,
        )

    def as_administrator(self, database: str = DATABASE) -> psycopg.Connection:
        """A superuser's session, over the private socket."""
        return psycopg.connect(self.server.conninfo(database), autocommit=True)

    @contextmanager
    def another_database(self) -> Iterator[str]:
        """A new database takes over the name of the examples' database, which has the yielded name meanwhile."""
        kept = f"{DATABASE}_kept"
        with self.as_administrator("postgres") as connection:
            connection.execute(f"alter database {DATABASE} rename to {kept}")
            connection.execute(f"create database {DATABASE} owner {OWNER}")
            try:
                yield kept
            finally:
                connection.execute(f"drop database {DATABASE} with (force)")
                connection.execute(f"alter database {kept} rename to {DATABASE}")

    def _terminal(self) -> Terminal:
        return Terminal(self.clone, self.scratch, PASSWORD, TIMEOUT_S)
