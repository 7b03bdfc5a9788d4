"""Files that one process owns at a time, by a lock that the system lets go of when the process dies, however it dies.

`flock` locks belong to an open file, not to a process: a second descriptor of the same process meets the lock too,
closing it does no harm, and a forked child that closes its copies leaves the parent's locks alone.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

# Journals and dead letters hold what people asked: they are for the eyes of their owner.
DIRECTORY_MODE = 0o700
FILE_MODE = 0o600


def open_locked(path: Path, flags: int) -> int | None:
    """Open the file and lock it for this process: its descriptor; None if another has it, or did away with it.

    Raises OSError if it cannot be opened, or its file system has no locks.
    """
    descriptor = os.open(path, flags, FILE_MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever held the lock may have deleted or renamed the file between the opening and the locking.
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
    """Append `data` in one write. Raises OSError, and takes back what was written, if not all of it fits."""
    written = os.write(descriptor, data)
    if written < len(data):
        os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
