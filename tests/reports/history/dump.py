"""pg_dump and pg_restore of the server's own version."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests.conftest import Database

# Debian and Ubuntu, Red Hat, Homebrew, Postgres.app.
PLACES = [
    *["/usr/lib/postgresql/{}/bin", "/usr/pgsql-{}/bin", "/opt/homebrew/opt/postgresql@{}/bin"],
    *["/usr/local/opt/postgresql@{}/bin", "/Applications/Postgres.app/Contents/Versions/{}/bin"],
]
SUFFIX = "_restored"


def client_programs(database: Database) -> Path | None:
    """The directory of pg_dump and pg_restore, or None if this version is not installed."""
    if database.server.cluster:
        return database.server.cluster.bin_path
    with database.connect() as connection:
        version = connection.info.server_version // 10_000
    places = [*(place.format(version) for place in PLACES), *os.environ["PATH"].split(os.pathsep)]
    return next((Path(place) for place in places if _version(Path(place) / "pg_dump") == version), None)


def dumping(programs: Path, database: Database, file: Path) -> subprocess.Popen[bytes]:
    """Start a dump of the database."""
    command = [str(programs / "pg_dump"), "--format", "custom", "--file", str(file), "--dbname", database.conninfo]
    return subprocess.Popen(command)


def restore(programs: Path, database: Database, file: Path) -> Database:
    """Restore the dump to a new database.

    A dump sets `row_security = off`, so the restore cannot refresh the report that reads the log: its only error.
    """
    base = database.name.removesuffix(SUFFIX)
    restored = database.server.create_database("template0", name=base if base != database.name else base + SUFFIX)
    command = [str(programs / "pg_restore"), "--dbname", restored.conninfo, str(file)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    error_lines = [line for line in finished.stderr.splitlines() if "error:" in line]
    assert all("row-level security" in line for line in error_lines), finished.stderr
    return restored


def _version(program: Path) -> int | None:
    if not program.exists():
        return None
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"\d+", said)
    return int(found.group()) if found else None
