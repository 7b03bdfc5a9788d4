"""The PostgreSQL 15 of Debian 12 (package postgresql-15), in a cluster of the tests' own.

Debian's own cluster and its settings are not used. As root the server runs as Debian's user `postgres`.
"""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from chat_telemetry._cli.postgres_cluster import ClusterError, PostgresCluster
from tests.certificates import Certificate

PROGRAMS = Path("/usr/lib/postgresql/15/bin")
SYSTEM_USER = "postgres"
TLS_HBA = """\
local    all  all                trust
hostssl  all  all  127.0.0.1/32  scram-sha-256
"""


def require_debian_postgres() -> None:
    """End the test run with one line if the server is not installed. To skip would look like a pass."""
    if not (PROGRAMS / "postgres").exists():
        raise pytest.UsageError(f"{PROGRAMS} has no PostgreSQL 15: apt-get install postgresql-15")


class DebianPostgres(PostgresCluster):
    """With a certificate, the server accepts only encrypted connections over TCP."""

    def __init__(
        self, directory: Path, *, settings: Mapping[str, str] | None = None, certificate: Certificate | None = None
    ) -> None:
        user = SYSTEM_USER if os.geteuid() == 0 else None
        super().__init__(directory, system_user=user, port=None, settings=settings)
        self._certificate = certificate
        if certificate:
            self.hba = TLS_HBA
            names = {"ssl_cert_file": "server.crt", "ssl_key_file": "server.key"}
            self._settings |= {"ssl": "on"} | {name: str(self.data / file) for name, file in names.items()}

    @property
    def bin_path(self) -> Path:
        return PROGRAMS

    def _initialize(self) -> None:
        self._give_away(self.data.parent)
        self._give_away(self.data)
        new = ["--auth=trust", "--encoding=UTF8", "--username=postgres", "--no-sync", "-D", str(self.data)]
        if not (self.data / "PG_VERSION").exists() and self._run("initdb", *new) != 0:
            raise ClusterError(f"initdb did not make {self.data}")
        if self._certificate:
            shutil.copy(self._certificate.certificate, self.data / "server.crt")
            key = self.data / "server.key"
            shutil.copy(self._certificate.key, key)
            key.chmod(0o600)
            self._give_away(key)

    def _place_of_socket(self) -> Path:
        return self.data.parent  # a new directory of the tests, with a short name

    def _give_away(self, path: Path) -> None:
        if self._system_user:
            os.chown(path, pwd.getpwnam(self._system_user).pw_uid, -1)
