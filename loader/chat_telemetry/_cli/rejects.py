"""Rejected lines: unchanged in one file, to be fixed and loaded, and their reasons line by line in a second file."""

from __future__ import annotations

import hashlib
import os
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO

from chat_telemetry._cli.errors import one_line
from chat_telemetry._cli.input_lines import InputLine, read_lines

SUFFIX = ".rejected.jsonl"


def default_path(source: str) -> Path:
    """The file for the rejected lines of an input: next to it, and for stdin (`-`) in the working directory."""
    return Path(f"stdin{SUFFIX}" if source == "-" else f"{source}{SUFFIX}")


class Rejects:
    """The file `path` and the file of reasons, created with the first rejected line.

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
        lines = self._files.enter_context(self.path.open("a+b"))
        lines.seek(0)
        self._known = {_digest(line.content) for line in read_lines(lines)}
        holds_lines = lines.seek(0, os.SEEK_END) > 0
        if holds_lines and not _ends_with_line_feed(lines):
            lines.write(b"\n")
        return lines, self._files.enter_context(self.reasons_path.open("ab" if holds_lines else "wb"))


def _ends_with_line_feed(file: IO[bytes]) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()
