"""Writes a file so that a reader finds the old one or the new one, and never a part."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from chat_telemetry._cli.errors import CommandError


def write(content: bytes, path: Path) -> None:
    """Write the file, or replace it. Raises OSError or CommandError, and then the old file is unchanged.

    A new file can be read only by its owner, because it contains user ids and SQL. An old one keeps its mode. A link is
    followed, and a device is written to.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        path.write_bytes(content)  # raises if it is a directory
        return
    if not path.parent.is_dir():
        raise CommandError(f"{path.parent}: there is no such directory")
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123  # it is a descriptor
            file.write(content)
            file.flush()
            os.fsync(descriptor)
            with suppress(FileNotFoundError):
                os.fchmod(descriptor, path.stat().st_mode & 0o777)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
