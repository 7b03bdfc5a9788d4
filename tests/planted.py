"""What another user could put where a file of ours is expected."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chat_telemetry._delivery import private_files

PLANTED = {
    "symbolic link": "symbolic link",
    "dangling link": "symbolic link",
    "hard link": "hard link",
    "pipe": "not a regular file",
    "socket": "not a regular file",
    "another user's": "belongs to another user",
}
"""Each kind, and a part of the message that refuses it."""


def plant(kind: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put something at the path that is not a file of this user alone. Returns the file that a link leads to."""
    target = path.with_name("private.txt")
    target.write_text("private\n")
    match kind:
        case "symbolic link":
            path.symlink_to(target)
        case "dangling link":
            path.symlink_to(path.with_name("new.txt"))
        case "hard link":
            path.hardlink_to(target)
        case "pipe":
            os.mkfifo(path)
        case "socket":
            os.mknod(path, 0o140600)
        case "another user's":
            path.write_text("forged\n")
            monkeypatch.setattr(private_files, "current_user", lambda: os.geteuid() + 1)
    return target
