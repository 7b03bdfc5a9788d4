"""JSON lines of an input file, checked strictly: each becomes a line for the store, or a reason why not."""

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
from chat_telemetry._odd_values import odd_values
from chat_telemetry._record import COLUMNS, TelemetryRecord

MAX_LINE_BYTES = 16 * 1024 * 1024
GZIP_MAGIC = b"\x1f\x8b"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Lines without a log_id get one made of their text, so that loading a file again stores nothing twice.
LINE_NAMESPACE = UUID("b2a1d1c6-5d0c-5c55-9a44-6b1e0e7a6f0d")
NO_LOG_ID = UUID(int=0)


class BadLine(ValueError):
    """A line that is no record; the message is the reason, without contents."""


class Line(NamedTuple):
    """One line of the input, verbatim but for its line feed."""

    number: int
    """From 1."""
    content: bytes
    rest: Iterator[bytes] | None = None
    """What follows the first 16 MiB of a longer line. Not consumed, it is skipped."""


def decompressed(stream: io.BufferedReader) -> IO[bytes]:
    """`stream`, through gzip if its first bytes say so, whatever its name."""
    if stream.peek(len(GZIP_MAGIC))[: len(GZIP_MAGIC)] == GZIP_MAGIC:
        return io.BufferedReader(gzip.GzipFile(fileobj=stream))
    return stream


def read_lines(stream: IO[bytes]) -> Iterator[Line]:
    """The lines that are not blank. Memory stays bounded whatever the length of a line."""
    number = 0
    while content := stream.readline(MAX_LINE_BYTES):
        number += 1
        if number == 1:
            content = content.removeprefix(BYTE_ORDER_MARK)
        if len(content) == MAX_LINE_BYTES and not content.endswith(b"\n"):
            rest = _rest_of_line(stream)
            yield Line(number, content, rest)
            for _ in rest:
                pass
        elif not content.isspace():
            yield Line(number, content.removesuffix(b"\n"))


def to_record(line: Line) -> TelemetryRecord:
    """The record in `line`; raises BadLine. An integer must be one and fit its column, text must be storable.

    `sql_fingerprint`, which exports of the table carry, is accepted and left to the database.
    """
    if line.rest is not None:
        raise BadLine(f"longer than {MAX_LINE_BYTES >> 20} MiB: no chat request is")
    try:
        checked = _decoder.decode(line.content)
    except msgspec.ValidationError as error:
        raise BadLine(_reason(str(error))) from None
    except UnicodeDecodeError:
        raise BadLine("not UTF-8") from None
    except msgspec.DecodeError as error:
        raise BadLine(_why_no_json(line.content, error)) from None
    if b"\\u0000" in line.content:
        _refuse_nul(checked)
    for column, reason in odd_values(checked).items():
        raise BadLine(f"{column}: {reason}")
    if checked.log_id == NO_LOG_ID:
        checked.log_id = uuid5(LINE_NAMESPACE, line.content.decode().strip())
    return TelemetryRecord(**{column: getattr(checked, column) for column in COLUMNS})


class _InputLine(TelemetryRecord, kw_only=True, array_like=False, forbid_unknown_fields=True):
    log_id: UUID = NO_LOG_ID
    sql_fingerprint: str | None = None


_decoder = msgspec.json.Decoder(_InputLine)


def _rest_of_line(stream: IO[bytes]) -> Iterator[bytes]:
    while piece := stream.readline(MAX_LINE_BYTES):
        yield piece.removesuffix(b"\n")
        if piece.endswith(b"\n"):
            return


def _reason(message: str) -> str:
    """`Expected `int`, got `str` - at `$.ttfb_ms`` with the column first, as the line's writer looks for it."""
    what, _, place = message.partition(" - at ")
    column = re.sub(r"^`\$\.?|`$", "", place)
    what = what.replace("`", "")
    return one_line(f"{column}: {what}" if column else what)[:300]


def _why_no_json(content: bytes, error: msgspec.DecodeError) -> str:
    """Half of a surrogate pair is an error to one parser and none to the other: that tells it from broken JSON."""
    try:
        json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return f"not JSON: {one_line(str(error)).removeprefix('JSON is malformed: ')}"
    return "a lone surrogate (half of a \\ud800-\\udfff pair), which is no character"


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def _refuse_nul(record: TelemetryRecord) -> None:
    for column in COLUMNS:
        value = getattr(record, column)
        if any("\0" in text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)):
            raise BadLine(f"{column}: a NUL character (\\u0000), which PostgreSQL cannot store")
