"""Files that one process owns at a time, by a lock that the system releases when the process dies.

`flock` locks belong to an open file, not to a process. Therefore a second descriptor of the same process waits for the
lock, too; closing that descriptor releases nothing; and a forked child that closes its copies keeps the parent's locks.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

# Journals and dead letters hold what people asked: only their owner may read them.
DIRECTORY_MODE = 0o700
FILE_MODE = 0o600


def open_locked(path: Path, flags: int) -> int | None:
    """Open the file, lock it for this process, and return its descriptor.

    Returns None if another process has locked, deleted or renamed it. Raises OSError if the file cannot be opened or
    its file system has no locks.
    """
    descriptor = os.open(path, flags, FILE_MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The previous owner may have deleted or renamed the file after it was opened here and before it was locked.
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError:
        os.close(descriptor)
        if flags & os.O_EXCL:
            path.unlink(missing_ok=True)
        raise
    os.close(descriptor)
    return None


def append_whole(descriptor: int, data: bytes) -> None:
    """Append `data` in one write. Raises OSError, and truncates the file to its old size, if only a part fits."""
    written = os.write(descriptor, data)
    if written < len(data):
        os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
