"""The passwords of the demo's roles: random, in a file that only its owner can read and that libpq understands."""

from __future__ import annotations

import os
import re
import secrets
import stat
from pathlib import Path
from typing import NamedTuple

from chat_telemetry._delivery.private_files import FILE_MODE, open_private

FILE_NAME = "pgpass"
READER = "telemetry_reader"
TRANSFORMER = "telemetry_transformer"
BYTES = 18
LINE = re.compile(r"127\.0\.0\.1:\*:chat:(\w+):([\w-]+)", re.ASCII)


class Passwords(NamedTuple):
    """The passwords of the roles that log in by TCP."""

    file: Path
    """What PGPASSFILE or `passfile` names."""
    by_role: dict[str, str]
    are_new: bool


def read_or_create_passwords(directory: Path) -> Passwords:
    """The passwords of the demo in this directory. Raises OSError if the file was replaced by others.

    The roles get new ones if the file is missing, incomplete, or was readable for others.
    """
    file = directory.resolve() / FILE_NAME
    kept = _read(file)
    if kept.keys() == {READER, TRANSFORMER}:
        return Passwords(file, kept, are_new=False)
    new = {role: secrets.token_urlsafe(BYTES) for role in (READER, TRANSFORMER)}
    unfinished = file.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(open_private(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "w", encoding="ascii") as stream:
        stream.writelines(f"127.0.0.1:*:chat:{role}:{password}\n" for role, password in new.items())
    unfinished.replace(file)
    return Passwords(file, new, are_new=True)


def _read(file: Path) -> dict[str, str]:
    if not os.path.lexists(file):
        return {}
    with os.fdopen(open_private(file, os.O_RDONLY), encoding="utf-8", errors="replace") as stream:
        if stat.S_IMODE(os.fstat(stream.fileno()).st_mode) != FILE_MODE:
            return {}
        return {found[1]: found[2] for line in stream if (found := LINE.fullmatch(line.rstrip("\n")))}
