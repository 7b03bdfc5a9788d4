"""JSON lines of an input file, strictly validated: each one becomes a record, or a reason why it is rejected."""

from __future__ import annotations

import gzip
import io
import json
import re
from collections.abc import Iterator
from typing import IO, Any, NamedTuple
from uuid import UUID, uuid5

import msgspec

from chat_telemetry._cli.errors import one_line
from chat_telemetry._encoding import odd_values
from chat_telemetry._record import COLUMNS, TelemetryRecord

MAX_LINE_BYTES = 16 * 1024 * 1024
GZIP_MAGIC = b"\x1f\x8b"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# A line without a log_id gets one that is computed from its text, so that loading a file again stores nothing twice.
LINE_NAMESPACE = UUID("b2a1d1c6-5d0c-5c55-9a44-6b1e0e7a6f0d")
NO_LOG_ID = UUID(int=0)


class BadLine(ValueError):
    """A line that is not a valid record. The message is the reason, without contents."""


class InputLine(NamedTuple):
    """One line of the input, unchanged, without its line feed."""

    number: int
    """From 1."""
    content: bytes
    rest: Iterator[bytes] | None = None
    """The rest of a line of more than 16 MiB. It is skipped if it is not consumed."""


def decompressed(stream: io.BufferedReader) -> IO[bytes]:
    """`stream`, decompressed if it begins like gzip, whatever the name of the file."""
    if stream.peek(len(GZIP_MAGIC))[: len(GZIP_MAGIC)] == GZIP_MAGIC:
        return io.BufferedReader(gzip.GzipFile(fileobj=stream))
    return stream


def read_lines(stream: IO[bytes]) -> Iterator[InputLine]:
    """The lines that are not blank. Memory is bounded, however long a line is."""
    number = 0
    while content := stream.readline(MAX_LINE_BYTES):
        number += 1
        if number == 1:
            content = content.removeprefix(BYTE_ORDER_MARK)
        if len(content) == MAX_LINE_BYTES and not content.endswith(b"\n"):
            rest = _rest_of_line(stream)
            yield InputLine(number, content, rest)
            for _ in rest:
                pass
        elif not content.isspace():
            yield InputLine(number, content.removesuffix(b"\n"))


def to_record(line: InputLine) -> TelemetryRecord:
    """The record in `line`. Raises BadLine, also if an integer does not fit its column or a text cannot be stored.

    `sql_fingerprint` is accepted, because exports of the table have it, and ignored, because the database computes it.
    """
    if line.rest is not None:
        raise BadLine(f"longer than {MAX_LINE_BYTES >> 20} MiB")
    try:
        checked = _decoder.decode(line.content)
    except msgspec.ValidationError as error:
        raise BadLine(_reason(str(error))) from None
    except UnicodeDecodeError:
        raise BadLine("not UTF-8") from None
    except msgspec.DecodeError as error:
        raise BadLine(_why_not_json(line.content, error)) from None
    if b"\\u0000" in line.content:
        _reject_nul(checked)
    for column, reason in odd_values(checked).items():
        raise BadLine(f"{column}: {reason}")
    if checked.log_id == NO_LOG_ID:
        checked.log_id = uuid5(LINE_NAMESPACE, line.content.decode().strip())
    return TelemetryRecord(**{column: getattr(checked, column) for column in COLUMNS})


class _StrictRecord(TelemetryRecord, kw_only=True, array_like=False, forbid_unknown_fields=True):
    log_id: UUID = NO_LOG_ID
    sql_fingerprint: str | None = None


_decoder = msgspec.json.Decoder(_StrictRecord)


def _rest_of_line(stream: IO[bytes]) -> Iterator[bytes]:
    while piece := stream.readline(MAX_LINE_BYTES):
        yield piece.removesuffix(b"\n")
        if piece.endswith(b"\n"):
            return


def _reason(message: str) -> str:
    """msgspec's `Expected `int`, got `str` - at `$.ttfb_ms`` as `ttfb_ms: Expected int, got str`."""
    what, _, place = message.partition(" - at ")
    column = re.sub(r"^`\$\.?|`$", "", place)
    what = what.replace("`", "")
    return one_line(f"{column}: {what}" if column else what)[:300]


def _why_not_json(content: bytes, error: msgspec.DecodeError) -> str:
    """Only msgspec rejects a lone surrogate. So if the json module accepts the line, the reason is a lone surrogate."""
    try:
        json.loads(content, parse_constant=_reject_constant)
    except (ValueError, RecursionError):
        return f"not JSON: {one_line(str(error)).removeprefix('JSON is malformed: ')}"
    return "a lone surrogate (half of a \\ud800-\\udfff pair) is not a character"


def _reject_constant(name: str) -> Any:
    raise ValueError(name)


def _reject_nul(record: TelemetryRecord) -> None:
    for column in COLUMNS:
        value = getattr(record, column)
        if any("\0" in text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)):
            raise BadLine(f"{column}: a NUL character (\\u0000), which PostgreSQL cannot store")
