"""A Superset of its own in a directory: settings, metadata in SQLite, one administrator, the web server."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

USER = "admin"
START_TIMEOUT_S = 120
# It serves this machine only, and lives as long as the tool. So one login without a form token is enough.
SETTINGS = """\
SECRET_KEY = {key!r}
SQLALCHEMY_DATABASE_URI = {metadata!r}
WTF_CSRF_ENABLED = False
TALISMAN_ENABLED = False
"""


class NotStarted(Exception):
    """Superset did not start. The message says where its output is."""


@dataclass(frozen=True)
class Superset:
    """How to reach the web server that runs."""

    address: str
    password: str


@contextmanager
def running(environment: Path, directory: Path) -> Iterator[Superset]:
    """Starts Superset of the virtual environment, and stops it at the end. Raises NotStarted."""
    password, log = secrets.token_urlsafe(16), directory / "superset.log"
    variables = settings(directory)
    command = environment.absolute() / "bin/superset"
    person = ("--username", USER, "--firstname", "Ada", "--lastname", "Admin", "--email", "admin@example.com")
    steps = ["db", "upgrade"], ["fab", "create-admin", *person, "--password", password], ["init"]
    for step in steps:
        with log.open("ab") as output:
            finished = subprocess.run([command, *step], env=variables, stdout=output, stderr=output, check=False)
        if finished.returncode:
            raise NotStarted(f"superset {' '.join(step[:2])} failed: {last_line(log)}")
    port = free_port()
    with log.open("ab") as output:
        serve = ["run", "--port", str(port), "--with-threads"]
        server = subprocess.Popen([command, *serve], env=variables, stdout=output, stderr=output)
    try:
        wait(server, f"http://127.0.0.1:{port}", log)
        yield Superset(f"http://127.0.0.1:{port}", password)
    finally:
        server.terminate()
        server.wait(timeout=30)


def settings(directory: Path) -> dict[str, str]:
    """Writes the settings, and returns the variables that make Superset read them and nothing else."""
    file = directory / "superset_config.py"
    metadata = f"sqlite:///{directory.absolute()}/superset.db?check_same_thread=false"
    file.touch(mode=0o600)
    file.write_text(SETTINGS.format(key=secrets.token_urlsafe(42), metadata=metadata), encoding="utf-8")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "SUPERSET", "FLASK"))}
    return inherited | {
        "FLASK_APP": "superset.app:create_app()",
        "SUPERSET_CONFIG_PATH": str(file.absolute()),
        "SUPERSET_HOME": str(directory.absolute()),
        "TZ": "UTC",  # the clock of `today` in a filter
    }


def wait(server: subprocess.Popen[bytes], address: str, log: Path) -> None:
    end = time.monotonic() + START_TIMEOUT_S
    while server.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5) as response:  # noqa: S310  # http on this machine
                if response.status == 200:
                    return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.5)
    raise NotStarted(f"the web server of Superset did not start: {last_line(log)}")


def last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() or ["no output"]
    sys.stderr.writelines(f"{line}\n" for line in lines[-20:])
    return lines[-1]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
