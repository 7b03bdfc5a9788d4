"""A file of own prices is read strictly: each line is a price, or it is named with what is wrong with it."""

from __future__ import annotations

import csv
import datetime as dt
import io
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat_telemetry._cli.errors import CommandError
from chat_telemetry._cli.price_file import BLANKS, Price, can_be_set, can_be_shown, read_prices, write_prices

HEADER = "model,valid_from,input_usd_per_mtok,cached_input_usd_per_mtok,output_usd_per_mtok,source"
GOOD = "gpt-4o,2026-01-01,2.5,1.25,10,contract"
PRICE = Price("gpt-4o", dt.date(2026, 1, 1), Decimal("2.5"), Decimal("1.25"), Decimal(10), "contract")


def read(*lines: str, end: str = "\n") -> list[Price]:
    """The prices of a file with these lines, which has no faults."""
    prices, faults = read_prices("own.csv", "".join(line + end for line in lines).encode())
    assert faults == []
    return prices


def fault(line: str) -> str:
    """What is wrong with the line, which is the second of a file whose other lines are good."""
    prices, faults = read_prices("own.csv", f"{HEADER}\n{line}\n{GOOD}\n".encode())
    assert prices == [PRICE]
    assert [found.line for found in faults] == [2]
    return faults[0].reason


def refusal(content: bytes) -> str:
    """Why a file is refused as a whole."""
    with pytest.raises(CommandError) as raised:
        read_prices("own.csv", content)
    return str(raised.value)


def test_each_line_is_a_price() -> None:
    assert read(HEADER, GOOD) == [PRICE]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_end_a_byte_order_mark_and_blank_lines_are_accepted(end: str) -> None:
    assert read("\ufeff" + HEADER, "", GOOD, "  ", ",,,,,", end=end) == [PRICE]


def test_the_columns_may_be_in_any_order_and_the_provider_of_the_seed_is_ignored() -> None:
    header = "provider,source,model,output_usd_per_mtok,cached_input_usd_per_mtok,input_usd_per_mtok,valid_from"
    assert read(header, "openai,contract,gpt-4o,10,1.25,2.5,2026-01-01") == [PRICE]


def test_the_seed_of_the_project_can_be_set() -> None:
    seed = Path(__file__).parents[2] / "seeds" / "token_prices.csv"
    prices, faults = read_prices("seed", seed.read_bytes())
    assert (len(prices), faults) == (len(seed.read_text().splitlines()) - 1, [])


def test_blanks_around_values_are_removed_and_those_inside_stay() -> None:
    assert read(HEADER, '  my model\u00a0\u200b, 2026-01-01 ,2.5\t, 1.25,10 , "contract, 2026 "') == [
        PRICE._replace(model="my model", source="contract, 2026")
    ]


def test_an_empty_cached_price_means_the_input_price() -> None:
    assert read(HEADER, "gpt-4o,2026-01-01,2.5,,10,contract") == [PRICE._replace(cached_input_usd_per_mtok=None)]


@pytest.mark.parametrize(
    ("text", "usd"), [("0", "0"), ("-0", "0"), (".5", "0.5"), ("5.", "5"), ("1e-3", "0.001"), ("1E2", "100")]
)
def test_a_number_may_be_written_in_these_ways(text: str, usd: str) -> None:
    assert read(HEADER, f"gpt-4o,2026-01-01,100,{text},10,contract")[0].cached_input_usd_per_mtok == Decimal(usd)


@pytest.mark.parametrize(
    "text",
    ["nan", "inf", "-inf", "Infinity", "0x10", "1_000", "$2", "2 USD", "２", "1e9999", "'1", "--1", "+1", "1,5"],  # noqa: RUF001
)
def test_what_is_not_a_number_is_named(text: str) -> None:
    assert (
        fault(f'gpt-4o,2026-01-01,"{text}",,10,contract') == f"input_usd_per_mtok: {text!r} is not a number like 0.15"
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (",2026-02-01,2.5,,10,contract", "model is empty"),
        ("gpt-4o,,2.5,,10,contract", "valid_from is empty"),
        ("gpt-4o,2026-02-01,,,10,contract", "input_usd_per_mtok is empty"),
        ("gpt-4o,2026-02-01,2.5,,,contract", "output_usd_per_mtok is empty"),
        ("gpt-4o,2026-02-01,2.5,,10,", "source is empty"),
        ("gpt-4o,2026-02-01,2.5,,-10,contract", "output_usd_per_mtok: '-10' is negative"),
        (
            "gpt-4o,2026-02-01,2.5,2.50001,10,contract",
            "cached_input_usd_per_mtok: 2.50001 is more than the input price 2.5",
        ),
        (
            "gpt-4o,2026-02-01,100000.1,,10,contract",
            "input_usd_per_mtok: '100000.1' is more than 100,000 US dollars per million tokens",
        ),
        (
            "gpt-4o,2026-02-01,0.0000000000000000000000000000001,,10,contract",
            "input_usd_per_mtok: '0.000000000000000000000000000…' has more than 30 decimals",
        ),
        (
            "gpt-4o,2026-02-01,2,5,1,25,10,contract",
            "8 of 6 values: quote names with commas, and write numbers like 0.15",
        ),
        ("gpt-4o,2026-02-01", "2 of 6 values: quote names with commas, and write numbers like 0.15"),
        ("gpt\0,2026-02-01,2.5,,10,contract", "model: a NUL character, which PostgreSQL cannot store"),
        (f"{'é' * 1001},2026-02-01,2.5,,10,contract", "model: longer than 2,000 bytes"),
        ("gpt-4o,2026-01-01,3,,11,another", "the same model and valid_from as line 2"),
        ('" gpt-4o",2026-01-01 ,3,,11,another', "the same model and valid_from as line 2"),
    ],
)
def test_what_is_wrong_with_a_line_is_named(line: str, reason: str) -> None:
    if reason.startswith("the same"):
        _, faults = read_prices("own.csv", f"{HEADER}\n{GOOD}\n{line}\n".encode())
        assert faults == [(3, reason)]
    else:
        assert fault(line) == reason


@pytest.mark.parametrize(
    "text",
    ["01/02/2026", "1.2.2026", "2026-1-2", "20260102", "2026-W01-1", "2026-02-30", "2026-01-02T00:00:00Z", "today"],
)
def test_a_date_is_year_month_and_day(text: str) -> None:
    assert fault(f"gpt-4o,{text},2.5,,10,contract") == f"valid_from: {text!r} is not a date like 2026-01-31"


def test_a_quoted_name_may_have_a_line_end_and_the_lines_are_counted_as_an_editor_does() -> None:
    content = f'{HEADER}\r\n"a\r\nb",2026-01-01,1,1,1,s\r\n\r\n{GOOD}\r\nbad\r\n'.encode()
    prices, faults = read_prices("own.csv", content)
    assert [price.model for price in prices] == ["a\r\nb", "gpt-4o"]
    assert [found.line for found in faults] == [6]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", f"own.csv: the file is empty: its first line must be {HEADER}"),
        (b"\n\n", f"own.csv: the file is empty: its first line must be {HEADER}"),
        (GOOD.encode(), f"own.csv:1: unknown columns {GOOD.replace(',', ', ')}: the header must be {HEADER}"),
        (b"model,source", "own.csv:1: missing columns valid_from, input_usd_per_mtok, cached_input_usd_per_mtok,"),
        (f"{HEADER},comment".encode(), "own.csv:1: unknown columns comment: the header must be"),
        (f"\n{HEADER},model".encode(), "own.csv:2: repeated columns model: the header must be"),
        (HEADER.replace(",", ";").encode(), "own.csv:1: the columns are separated by semicolons: save it with commas"),
        (HEADER.replace(",", "\t").encode(), "own.csv:1: the columns are separated by tabs: save it with commas"),
        (HEADER.encode("utf-16"), "own.csv: not UTF-8: save it as CSV in UTF-8, with commas between the columns"),
        (f'{HEADER}\n{GOOD}\n"a,2026-01-01\n'.encode(), "own.csv:3: not CSV: unexpected end of data"),
        (f'{HEADER}\n"a"b,2026-01-01,1,1,1,s\n'.encode(), "own.csv:2: not CSV: ',' expected after '\"'"),
        (f"{HEADER}\n{'a' * 200_000}\n".encode(), "own.csv:2: not CSV: field larger than field limit (131072)"),
    ],
)
def test_a_file_of_another_kind_is_refused_with_what_to_do(content: bytes, reason: str) -> None:
    assert refusal(content).startswith(reason)


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(
    lambda name: name.strip(BLANKS) == name and len(name.encode()) <= 2000
)
USD = st.decimals(min_value=0, max_value=100_000, places=10)


@settings(deadline=None)
@given(st.lists(st.builds(Price, NAMES, st.dates(), USD, st.none() | st.just(Decimal(0)), USD, NAMES)))
def test_what_is_written_is_read_again(prices: list[Price]) -> None:
    unique = list({(price.model, price.valid_from): price for price in prices}.values())
    assert read_prices("own.csv", write_prices(unique).encode()) == (unique, [])


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_is_read_or_refused_without_a_traceback(text: str) -> None:
    content = f"{HEADER}\n{text}".encode()
    try:
        prices, faults = read_prices("own.csv", content)
    except CommandError:
        assert refusal(content).startswith("own.csv:")
    else:
        rows = [row for row in csv.reader(io.StringIO(text, newline="")) if "".join(row).strip(BLANKS)]
        assert len(prices) + len(faults) == len(rows)


def test_only_some_names_can_be_set_and_shown() -> None:
    assert can_be_set("é" * 1000)
    assert not any(can_be_set(name) for name in ("", "é" * 1001))
    assert can_be_shown("é")
    assert not any(can_be_shown(name) for name in ("a\x1b[31m", "a\nb"))
