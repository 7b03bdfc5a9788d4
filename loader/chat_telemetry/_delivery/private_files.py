"""Opens files that hold what people asked. Only their owner reads them, and what others put in their place is refused.

A directory that another user can write to may hold links to other files, pipes that block, and lines of others.
"""

from __future__ import annotations

import os
import re
import stat
from errno import EPERM
from pathlib import Path

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600

# A link is not followed, and a pipe does not wait for its other end. Windows has neither flag, but a text mode.
SAFE_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
# On Windows every file belongs to user 0.
current_user = getattr(os, "geteuid", lambda: 0)

A_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
"""A pattern for the names of files."""


def open_private(path: Path, flags: int) -> int:
    """Open or create a regular file of this user and return its descriptor. Raises OSError."""
    try:
        descriptor = os.open(path, flags | SAFE_FLAGS, FILE_MODE)
    except OSError:
        check_file(path)  # it names a link, where the system names a loop
        raise
    try:
        _check(path, os.fstat(descriptor))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def check_file(path: Path) -> None:
    """Raises OSError if the path is a link, a special file or a file of another user. A directory has its own error."""
    try:
        status = path.lstat()
    except OSError:
        return
    if not stat.S_ISDIR(status.st_mode):
        _check(path, status)


def create_directory(directory: Path) -> None:
    """Create the directory if it is missing. Raises OSError, also if another user could write to it."""
    directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    check_directory(directory)


def check_directory(directory: Path) -> None:
    """Raises OSError if the directory is missing, belongs to another user, or can be written to by one."""
    status = directory.stat()
    advice = f"use a new directory, for example {directory}/chat-telemetry, which will be created"
    if status.st_uid != current_user():
        raise _refusal(directory, f"{directory} belongs to another user, uid {status.st_uid}: {advice}")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        is_shared = status.st_mode & stat.S_ISVTX  # such as /tmp
        what_to_do = advice if is_shared else f"run `chmod 700 {directory}`"
        raise _refusal(directory, f"other users can write to {directory}: {what_to_do}")


def files_named(pattern: str, directory: Path) -> list[Path]:
    """The paths whose whole names match, in alphabetical order. Raises OSError if the directory cannot be listed."""
    return sorted(path for path in directory.iterdir() if re.fullmatch(pattern, path.name))


def _check(path: Path, status: os.stat_result) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise _refusal(path, "is a symbolic link, which is not followed: delete it")
    if not stat.S_ISREG(status.st_mode):
        raise _refusal(path, "is not a regular file: delete it")
    if status.st_uid != current_user():
        raise _refusal(path, f"belongs to another user, uid {status.st_uid}: delete it, or give it to this user")
    if status.st_nlink > 1:
        raise _refusal(path, "has a second name, a hard link: delete it, or replace it by a copy")


def _refusal(path: Path, problem: str) -> OSError:
    return OSError(EPERM, problem, str(path))
