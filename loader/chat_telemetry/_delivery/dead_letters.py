"""Records that the database permanently rejected, kept with time and reason, so that they can be fixed and sent again.

All processes of a journal directory append to one file. A replay renames it first, so that records that are rejected
again go to a new file.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from uuid_utils.compat import uuid7

from chat_telemetry._delivery.locked_files import append_whole, open_locked
from chat_telemetry._delivery.private_files import A_UUID, create_directory, files_named
from chat_telemetry._delivery.segment import Segment
from chat_telemetry._delivery.store import Rejection
from chat_telemetry._encoding import LONGEST_LINE_BYTES
from chat_telemetry._record import COLUMNS

FILE_NAME = "dead-letters.jsonl"
# Other processes hold the lock only while they write one letter. If this many tries fail, something is wrong.
LOCK_TRIES = 200
LOCK_PAUSE_S = 0.01
# `user_question` is the last required column. A line with fewer values is not a record.
REQUIRED_VALUES = COLUMNS.index("user_question") + 1
# What is kept of a line that is not JSON, and of the text of an error, which can quote a whole value.
MAX_TEXT_BYTES = 2**20
MAX_REASON_CHARS = 1000

# The file, and those of replays that were interrupted.
NAMES = rf"dead-letters(?:-{A_UUID})?\.jsonl"


class DeadLetter(msgspec.Struct):
    """One line of the file."""

    rejected_at: datetime
    reason: str
    record: Any
    """The values of the rejected record by column, so that a person can fix them.

    Of a line that is not JSON, the first MAX_TEXT_BYTES as text.
    """


class DeadLetters:
    """The dead letters in one journal directory."""

    def __init__(self, directory: Path, max_line_bytes: int = LONGEST_LINE_BYTES) -> None:
        """The longest line that becomes a letter has `max_line_bytes`. A letter is at most twice as long."""
        self._directory = directory
        self._max_letter_bytes = 2 * max_line_bytes

    def add(self, line: bytes, rejection: Rejection) -> None:
        """Keep a rejected line, with the text of the server's error. Raises OSError."""
        reason = f"{rejection.reason}: {rejection.detail}"[:MAX_REASON_CHARS]
        letter = DeadLetter(datetime.now(UTC), reason, _record_of(line))
        create_directory(self._directory)
        descriptor = self._open()
        try:
            append_whole(descriptor, msgspec.json.encode(letter) + b"\n")
        finally:
            os.close(descriptor)

    def replay(self, batch_lines: int, send: Callable[[list[bytes]], object]) -> None:
        """Send the lines of all letters. `send` adds those that are rejected again.

        Raises OSError, and what `send` raises. Then no letter is deleted, and the next replay continues.
        """
        for letters in self._take():
            try:
                while lines := letters.read_rest(batch_lines):
                    send([_line_of(letter) for letter in lines])
                    letters.acknowledge(lines)
            except BaseException:
                letters.release()
                raise
            letters.delete()

    def _open(self) -> int:
        for _ in range(LOCK_TRIES):
            path = self._directory / FILE_NAME
            descriptor = open_locked(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            if descriptor is not None:
                return descriptor
            time.sleep(LOCK_PAUSE_S)
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    def _take(self) -> Iterator[Segment]:
        """The file, renamed, and the files of replays that were interrupted."""
        for path in files_named(NAMES, self._directory):
            descriptor = open_locked(path, os.O_RDWR)
            if descriptor is not None:
                taken = path
                if path.name == FILE_NAME:
                    taken = path.rename(path.with_name(f"dead-letters-{uuid7()}.jsonl"))
                yield Segment(taken, descriptor, max_line_bytes=self._max_letter_bytes)


def _record_of(line: bytes) -> Any:
    """The values by column. A line of an older version lacks the newest columns, which are the last ones."""
    try:
        values = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return line[:MAX_TEXT_BYTES].decode(errors="replace")
    if isinstance(values, list) and REQUIRED_VALUES <= len(values) <= len(COLUMNS):
        return dict(zip(COLUMNS, values, strict=False))
    return values


def _line_of(letter: bytes) -> bytes:
    """Encode the record of a dead letter, or a record without its letter.

    Anything that is not a record is sent unchanged and rejected by the database.
    """
    try:
        record = msgspec.json.decode(letter)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return letter
    if isinstance(record, dict) and "record" in record:
        record = record["record"]
    if isinstance(record, str):
        return record.encode()
    if isinstance(record, dict) and record.keys() <= {*COLUMNS, "sql_fingerprint"}:  # which the database computes
        record = [record.get(column) for column in COLUMNS]
    return msgspec.json.encode(record)
