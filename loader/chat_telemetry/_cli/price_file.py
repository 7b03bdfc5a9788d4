"""CSV files of own prices: strictly validated when they are read, and written so that they can be read again."""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

import msgspec

from chat_telemetry._cli.errors import CommandError, one_line

IGNORED_COLUMN = "provider"  # in the seed's file, but not in ours
# The most expensive models cost less than 1,000. A price of a million per million tokens is a mistake of units.
MOST_USD_PER_MTOK = 100_000
MOST_DECIMALS = 30
MODEL_BYTES = 2000  # a row of an index has less than 3 kB
NUMBER = re.compile(r"(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?", re.ASCII)
# White space and invisible characters, the same as in the function chat_rollups.without_blanks.
BLANKS = " \x7f\x85\xa0\xad\u061c\u1680\u180e\u205f\u2060\u3000\ufe0f\ufeff" + "".join(
    map(chr, (*range(0x01, 0x20), *range(0x2000, 0x2010), *range(0x2028, 0x2030), *range(0x2066, 0x206A)))
)


class Price(NamedTuple):
    """One own price, in US dollars per million tokens. Without a cached price the input price applies."""

    model: str
    valid_from: dt.date
    input_usd_per_mtok: Decimal
    cached_input_usd_per_mtok: Decimal | None
    output_usd_per_mtok: Decimal
    source: str


class Fault(NamedTuple):
    """Why a line is rejected."""

    line: int
    """From 1."""
    reason: str


def read_prices(name: str, content: bytes) -> tuple[list[Price], list[Fault]]:
    """The prices of a CSV file and the faults of its other lines. Raises CommandError if it is no such file at all."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CommandError(f"{name}: not UTF-8: save it as CSV in UTF-8, with commas between the columns") from None
    rows = _rows(name, text)
    columns = _checked_header(name, next(rows, None))
    prices: dict[tuple[str, dt.date], tuple[int, Price]] = {}
    faults: list[Fault] = []
    for line, values in rows:
        try:
            price = _price(columns, values)
        except ValueError as error:
            faults.append(Fault(line, one_line(str(error))))
            continue
        first, _ = prices.setdefault((price.model, price.valid_from), (line, price))
        if first != line:
            faults.append(Fault(line, f"the same model and valid_from as line {first}"))
    return [price for _, price in prices.values()], faults


def write_prices(rows: Iterable[Sequence[object]]) -> str:
    """The header and the rows as CSV. A cell of None is empty."""
    cells = [[f"{cell:f}" if isinstance(cell, Decimal) else cell for cell in row] for row in rows]
    return "".join(map(_csv_line, [Price._fields, *cells]))


def can_be_set(model: str) -> bool:
    """Whether an own price can have this name."""
    return 0 < len(model.encode()) <= MODEL_BYTES


def can_be_shown(model: str) -> bool:
    """Whether a terminal can show a line with this name as it is."""
    return model.isprintable()


def _csv_line(cells: Sequence[object]) -> str:
    """The writer quotes a line end in a name only if its own line end has the same character."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(cells)
    return line.getvalue().removesuffix("\r\n") + "\n"


def _rows(name: str, text: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, each with the number of its first line, without the blanks around its values."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    line = 1
    try:
        for row in reader:
            values = [value.strip(BLANKS) for value in row]
            if any(values):
                yield line, values
            line = reader.line_num + 1
    except csv.Error as error:
        raise CommandError(f"{name}:{line}: not CSV: {error}") from None


def _checked_header(name: str, header: tuple[int, list[str]] | None) -> list[str]:
    """The names of the columns. Raises CommandError if they are not those of own prices."""
    expected = ",".join(Price._fields)
    if header is None:
        raise CommandError(f"{name}: the file is empty: its first line must be {expected}")
    line, columns = header
    separator = next((character for character in ";\t" if character in "".join(columns)), None)
    if separator:
        shown = "semicolons" if separator == ";" else "tabs"
        raise CommandError(
            f"{name}:{line}: the columns are separated by {shown}: save it with commas, and with points in the numbers"
        )
    unknown = [column for column in columns if column not in (*Price._fields, IGNORED_COLUMN)]
    missing = [column for column in Price._fields if column not in columns]
    twice = [column for column in dict.fromkeys(columns) if columns.count(column) > 1]
    for what, found in (("unknown", unknown), ("missing", missing), ("repeated", twice)):
        if found:
            raise CommandError(f"{name}:{line}: {what} columns {', '.join(found)}: the header must be {expected}")
    return columns


def _price(columns: list[str], values: list[str]) -> Price:
    """The price of a row. Raises ValueError with the reason if it has none."""
    if len(values) != len(columns):
        raise ValueError(
            f"{len(values)} of {len(columns)} values: quote names with commas, and write numbers like 0.15"
        )
    row = dict(zip(columns, values, strict=True))
    cached = row["cached_input_usd_per_mtok"]
    price = Price(
        _model(row["model"]),
        _date(row["valid_from"]),
        _usd("input_usd_per_mtok", row["input_usd_per_mtok"]),
        _usd("cached_input_usd_per_mtok", cached) if cached else None,
        _usd("output_usd_per_mtok", row["output_usd_per_mtok"]),
        _text("source", row["source"]),
    )
    if price.cached_input_usd_per_mtok is not None and price.cached_input_usd_per_mtok > price.input_usd_per_mtok:
        raise ValueError(
            f"cached_input_usd_per_mtok: {cached} is more than the input price {row['input_usd_per_mtok']}"
        )
    return price


def _model(value: str) -> str:
    if len(value.encode()) > MODEL_BYTES:
        raise ValueError(f"model: longer than {MODEL_BYTES:,} bytes")
    return _text("model", value)


def _text(column: str, value: str) -> str:
    if not value:
        raise ValueError(f"{column} is empty")
    if "\0" in value:
        raise ValueError(f"{column}: a NUL character, which PostgreSQL cannot store")
    return value


def _date(value: str) -> dt.date:
    try:
        return msgspec.convert(_text("valid_from", value), dt.date)
    except msgspec.ValidationError:
        raise ValueError(f"valid_from: {_cut(value)} is not a date like 2026-01-31") from None


def _usd(column: str, value: str) -> Decimal:
    number = _text(column, value)
    if NUMBER.fullmatch(number.removeprefix("-")) is None:
        raise ValueError(f"{column}: {_cut(value)} is not a number like 0.15")
    usd = Decimal(number)
    if usd < 0:
        raise ValueError(f"{column}: {_cut(value)} is negative")
    if usd > MOST_USD_PER_MTOK:
        raise ValueError(f"{column}: {_cut(value)} is more than {MOST_USD_PER_MTOK:,} US dollars per million tokens")
    exponent = usd.as_tuple().exponent
    if isinstance(exponent, int) and -exponent > MOST_DECIMALS:
        raise ValueError(f"{column}: {_cut(value)} has more than {MOST_DECIMALS} decimals")
    return abs(usd)  # -0 is 0


def _cut(value: str) -> str:
    return repr(value if len(value) <= 30 else f"{value[:29]}…")
