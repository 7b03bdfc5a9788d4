"""Files that one process owns at a time, by a lock that the system releases when the process dies.

`flock` locks belong to an open file, not to a process. Therefore a second descriptor of the same process waits for the
lock, too; closing that descriptor releases nothing; and a forked child that closes its copies keeps the parent's locks.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from chat_telemetry._delivery.private_files import open_private

try:
    import fcntl
except ImportError:  # Windows
    HAS_LOCKS = False
else:
    HAS_LOCKS = True

NEEDS_LOCKS = "a journal needs a POSIX system"


def open_locked(path: Path, flags: int) -> int | None:
    """Open the file, lock it for this process, and return its descriptor.

    Returns None if another process has locked, deleted or renamed it. Raises OSError if the file cannot be opened, is
    not a regular file of this user, or is on a file system that has no locks.
    """
    descriptor = open_private(path, flags)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The previous owner may have deleted or renamed the file after it was opened here and before it was locked.
        if leads_to(path, descriptor):
            return descriptor
    except BlockingIOError:
        pass
    except OSError:
        os.close(descriptor)
        if flags & os.O_EXCL:
            path.unlink(missing_ok=True)
        raise
    os.close(descriptor)
    return None


def leads_to(path: Path, descriptor: int) -> bool:
    """Whether the path is still that of this open file. Otherwise somebody has deleted, moved or replaced the file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except (FileNotFoundError, NotADirectoryError):
        return False


def append_whole(descriptor: int, data: bytes) -> None:
    """Append `data` in one write. Raises OSError, and truncates the file to its old size, if only a part fits."""
    written = os.write(descriptor, data)
    if written < len(data):
        os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
