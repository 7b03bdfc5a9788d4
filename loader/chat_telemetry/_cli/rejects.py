"""Rejected lines: unchanged in one file, to be fixed and loaded, and their reasons line by line in a second file."""

from __future__ import annotations

import hashlib
import os
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO

from chat_telemetry._cli.errors import UsageError, one_line
from chat_telemetry._cli.input_lines import InputLine, read_lines
from chat_telemetry._delivery.private_files import FILE_MODE, check_file, open_private

SUFFIX = ".rejected.jsonl"


def default_path(source: str) -> Path:
    """The file for the rejected lines of an input: next to it, and for stdin (`-`) in the working directory."""
    return Path(f"stdin{SUFFIX}" if source == "-" else f"{source}{SUFFIX}")


class Rejects:
    """The file `path` and the file of reasons, created with the first rejected line. Only their owner can read them.

    Lines of an earlier load are kept and not repeated, so that the same load leaves both files unchanged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reasons_path = path.with_suffix(".reasons.txt")
        self.count = 0
        self._known: set[bytes] = set()
        self._files = ExitStack()
        self._lines: IO[bytes] | None = None
        self._reasons: IO[bytes] | None = None

    def __enter__(self) -> Rejects:
        """Raises UsageError if one of the files is a link or another user's, before any line is loaded."""
        for path in (self.path, self.reasons_path):
            try:
                check_file(path)
            except OSError as error:
                raise UsageError(f"{path} {error.strerror}, or choose another file with --rejected") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._files.close()

    def add(self, line: InputLine, reason: str) -> None:
        """Add a rejected line. `reason` names its file, its number and what is wrong with it. Raises OSError."""
        if self._lines is None or self._reasons is None:
            self._lines, self._reasons = self._open()
        self.count += 1
        digest = _digest(line.content)
        if digest in self._known:
            return
        self._known.add(digest)
        self._lines.write(line.content)
        self._lines.writelines(line.rest or ())
        self._lines.write(b"\n")
        self._reasons.write(f"{one_line(reason)}\n".encode())

    def _open(self) -> tuple[IO[bytes], IO[bytes]]:
        lines = self._opened(self.path)
        lines.seek(0)
        self._known = {_digest(line.content) for line in read_lines(lines)}
        holds_lines = lines.seek(0, os.SEEK_END) > 0
        if holds_lines and not _ends_with_line_feed(lines):
            lines.write(b"\n")
        reasons = self._opened(self.reasons_path)
        if not holds_lines:
            reasons.truncate(0)
        return lines, reasons

    def _opened(self, path: Path) -> IO[bytes]:
        descriptor = open_private(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        file = self._files.enter_context(os.fdopen(descriptor, "a+b"))
        if hasattr(os, "fchmod"):  # not on Windows
            os.fchmod(descriptor, FILE_MODE)
        return file


def _ends_with_line_feed(file: IO[bytes]) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()
