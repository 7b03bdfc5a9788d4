"""A pgbouncer in transaction mode, so that each transaction may run in another session of the server."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.loader.conftest import wait_until

MISSING = "pgbouncer is not installed: apt-get install pgbouncer"


@contextmanager
def pgbouncer(host: str, port: int, *, user: str, password: str, pool_size: int) -> Iterator[int]:
    """Run pgbouncer in front of the server, for one user. Yields its port on 127.0.0.1."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None and os.environ.get("CI") == "true":
        pytest.fail(MISSING)
    if program is None:
        pytest.skip(MISSING)
    own_port = _free_port()
    with tempfile.TemporaryDirectory(prefix="ctpgb-") as name:
        directory = Path(name)
        directory.chmod(0o755)  # if the tests run as root, pgbouncer runs as another user
        (directory / "users.txt").write_text(f'"{user}" "{password}"\n')
        (directory / "pgbouncer.ini").write_text(f"""
            [databases]
            * = host={host} port={port}
            [pgbouncer]
            listen_addr = 127.0.0.1
            listen_port = {own_port}
            unix_socket_dir =
            auth_type = plain
            auth_file = {directory / "users.txt"}
            pool_mode = transaction
            default_pool_size = {pool_size}
        """)
        as_user = ["-u", "nobody"] if os.getuid() == 0 else []
        process = subprocess.Popen([program, "-q", *as_user, str(directory / "pgbouncer.ini")])
        try:
            wait_until(lambda: _listens(own_port))
            yield own_port
        finally:
            process.terminate()
            process.wait(10)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
