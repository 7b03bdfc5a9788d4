"""One PostgreSQL cluster in a directory of this machine: `pg_ctl` starts and stops its server.

Where the programs come from, how the cluster is initialized and which system user runs it is up to the subclass.
"""

from __future__ import annotations

import os
import pwd
import shlex
import socket
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from psycopg.conninfo import make_conninfo

from chat_telemetry._errors import TelemetryError

# Only the system user of the server and root can open the directory of the socket, so the socket needs no password.
HBA = """\
local  all  all                trust
host   all  all  127.0.0.1/32  scram-sha-256
"""
START_TIMEOUT_S = 60


class ClusterError(TelemetryError):
    """The PostgreSQL server did not start or stop. The message names its log file."""


class PostgresCluster(ABC):
    """One PostgreSQL cluster in `directory`, reached by a private socket and by TCP on 127.0.0.1:`port`.

    `settings` are server parameters. If `port` is None, a free port is used. The superuser `postgres` can only connect
    over the socket, until it has a password. Over TCP every role needs a password.
    """

    hba = HBA

    def __init__(
        self, directory: Path, *, system_user: str | None, port: int | None, settings: Mapping[str, str] | None
    ) -> None:
        self.data = directory.resolve() / "data"
        self.log_file = self.data / "server.log"
        self._system_user = system_user
        self._settings = dict(settings or {})
        self._port = port

    @property
    @abstractmethod
    def bin_path(self) -> Path:
        """The directory of psql, pg_dump and the other programs."""

    @abstractmethod
    def _initialize(self) -> None:
        """Initialize the data directory, which exists, if it is new."""

    @abstractmethod
    def _place_of_socket(self) -> Path:
        """A directory whose path is short enough for a socket."""

    @property
    def port(self) -> int:
        """The TCP port of the running server."""
        return int(self._running()[3])

    def start(self) -> None:
        """Initialize the cluster if it is new, start the server, and wait until it accepts connections."""
        self.data.mkdir(parents=True, exist_ok=True)
        self._initialize()
        (self.data / "pg_hba.conf").write_text(self.hba)
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
        return self._run("pg_ctl", "status", "-D", str(self.data)) == 0

    def conninfo(self, dbname: str = "postgres", user: str = "postgres") -> str:
        """The connection string for the private socket, which needs no password."""
        _, _, _, port, socket_directory, *_ = self._running()
        return make_conninfo(host=socket_directory, port=port, dbname=dbname, user=user)

    def _running(self) -> list[str]:
        """What the running server says of itself: the process, directory, start, port, directory of the socket."""
        return (self.data / "postmaster.pid").read_text().splitlines()

    def _socket_directory(self) -> Path:
        directory = self._place_of_socket()
        if self._system_user and directory != self.data:
            os.chown(directory, pwd.getpwnam(self._system_user).pw_uid, -1)
        directory.chmod(0o700)
        return directory

    def _pg_ctl(self, action: str, *args: str) -> None:
        if self._run("pg_ctl", action, "-D", str(self.data), *args) != 0:
            raise ClusterError(f"PostgreSQL did not {action}: see {self.log_file}")

    def _run(self, program: str, *args: str) -> int:
        """The exit code of a program of the server, run as the system user of the server."""
        # No pipes: the started server would inherit them, and the reader would never see their end.
        finished = subprocess.run(  # noqa: S603
            [str(self.bin_path / program), *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=self._system_user,
            cwd=self.data if self.data.exists() else None,
            check=False,
        )
        return finished.returncode


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
