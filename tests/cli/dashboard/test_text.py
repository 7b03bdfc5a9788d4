"""Numbers, dates, names and SQL as the page shows them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from markupsafe import Markup, escape

from chat_telemetry._cli.bi import text
from chat_telemetry._cli.bi.reading import LONGEST_SQL as LONGEST
from chat_telemetry._cli.dashboard.sql_text import formatted

THIN = text.THIN


@pytest.mark.parametrize(
    ("value", "decimals", "shown"),
    [
        (None, None, text.NONE),
        ("0", None, "$0"),
        ("0", 2, "$0.00"),
        ("0.00001", None, "<$0.0001"),
        ("0.0018", None, "$0.0018"),
        ("0.0994", None, "$0.0994"),
        ("0.248", None, "$0.248"),
        ("0.9996", None, "$1.00"),
        ("5.1749", None, "$5.17"),
        ("1234.5", None, "$1,234"),
        ("0.004", 2, "<$0.01"),
        ("0.005", 2, "$0.00"),
        ("12345678.9", 2, "$12,345,678.90"),
    ],
)
def test_money(value: str | None, decimals: int | None, shown: str) -> None:
    assert text.usd(None if value is None else Decimal(value), decimals) == shown


def test_a_column_of_money_has_the_decimals_of_its_largest_value() -> None:
    assert text.places([]) == text.places([None, Decimal(0)]) == 4
    assert [text.places([Decimal(v), None, Decimal("0.0001")]) for v in ("0.05", "0.5", "5", "9999", "10000")] == [
        4,
        3,
        2,
        2,
        0,
    ]


def test_a_change_of_money_has_a_sign() -> None:
    shown = [text.signed_usd(value) for value in (Decimal("1.5"), Decimal("-0.87"), Decimal(0), None)]
    assert shown == ["+$1.50", "\N{MINUS SIGN}$0.870", "±$0", text.NONE]


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [
        (None, 1, text.NONE),
        (0, 1, "0.0 %"),
        (0.0004, 1, "<0.1 %"),
        (0.0005, 1, "0.1 %"),
        (0.031, 1, "3.1 %"),
        (0.456, 0, "46 %"),
        (0.004, 0, "<1 %"),
        (1, 0, "100 %"),
    ],
)
def test_rates(value: float | None, digits: int, shown: str) -> None:
    assert text.rate(value, digits) == shown.replace(" ", THIN)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, text.NONE),
        (0, "0 ms"),
        (999.4, "999 ms"),
        (1000, "1.00 s"),
        (9_999, "10.00 s"),
        (12_345, "12.3 s"),
        (90_000, "1.5 min"),
        (7_200_000, "2.0 h"),
    ],
)
def test_durations(value: float | None, shown: str) -> None:
    assert text.ms(value) == shown.replace(" ", THIN)


@pytest.mark.parametrize(
    ("now", "before", "words"),
    [
        (None, 1, "nothing to compare"),
        (1, None, "nothing to compare"),
        (0, 0, "none in the week before either"),
        (3, 0, "none in the week before"),
        (100, 100.4, "as in the week before"),
        (93, 100, "7 % less than in the week before"),
        (250, 100, "150 % more than in the week before"),
        (Decimal(1200), Decimal(100), "12 times the week before"),
        (0, 5, "100 % less than in the week before"),
    ],
)
def test_changes_are_words(now: float | None, before: float | None, words: str) -> None:
    assert text.change(now, before).replace(THIN, " ") == words
    assert text.change(now, before, has_previous=False) == "no week before to compare with"


def test_changes_of_rates_are_points_and_changes_of_durations_are_slower_or_faster() -> None:
    assert text.points(0.031, 0.037) == "0.6 points less than in the week before"
    assert text.points(0.05, 0.031) == "1.9 points more than in the week before"
    assert text.points(0.05, 0.0504) == "as in the week before"
    assert text.points(0.05, None) == text.points(None, 0.05) == "nothing to compare"
    assert text.points(0.05, 0.1, has_previous=False) == text.slower(5, 6, has_previous=False) == text.NO_PREVIOUS
    assert text.slower(110, 100).replace(THIN, " ") == "10 % slower than in the week before"
    assert text.slower(90, 100).replace(THIN, " ") == "10 % faster than in the week before"
    assert text.slower(100, 100.1) == text.slower(0, 0) == "as in the week before"
    assert text.slower(5, 0).replace(THIN, " ") == "0 ms in the week before"
    assert text.slower(None, 5) == "nothing to compare"


def test_days() -> None:
    assert text.day(date(2026, 11, 5)) == "5 Nov 2026"
    assert text.span(date(2026, 11, 18), date(2026, 11, 24)) == "18 to 24 Nov 2026"
    assert text.span(date(2026, 11, 28), date(2026, 12, 4)) == "28 Nov to 4 Dec 2026"
    assert text.span(date(2026, 12, 28), date(2027, 1, 3)) == "28 Dec 2026 to 3 Jan 2027"
    assert text.span(date(2026, 12, 28), date(2026, 12, 28)) == "28 Dec 2026"


def test_names_show_what_is_hidden_in_them() -> None:
    assert text.visible("a\u202eb\u00adc\U000e0041") == "a⟨U+202E⟩b⟨U+00AD⟩c⟨U+E0041⟩"
    assert text.visible("👩‍💻 नमस्ते") == "👩‍💻 नमस्ते"  # it joins, and hides nothing
    assert text.visible(" \n") == "(empty)"
    assert text.visible("x" * 201) == "x" * 199 + "…"
    assert text.short("provider/" + "x" * 50 + "-2026-01-01") == "provider/" + "x" * 18 + "…x-2026-01-01"


def test_sql_is_formatted_and_coloured() -> None:
    shown = formatted("select a from t where b = 'x' -- why", 36)
    assert shown == (
        '<span class="q-key">select</span> a\n<span class="q-key">from</span> t\n<span class="q-key">where</span> b = '
        '<span class="q-text">&#39;x&#39;</span> <span class="q-note">-- why</span>'
    )


@pytest.mark.parametrize(
    "sql",
    [
        "select " + "(" * 900 + "1" + ")" * 900,
        "select " + "a+" * 950 + "a",
        "select '" + "x" * 3000,
        "/*" * 900,
        "'" * 1999,
        "$$ $a$ $$ E'\\",
        "</pre><script>",
        "\x00\ud800",
    ],
)
def test_no_sql_stops_the_page_or_makes_it_large(sql: str) -> None:
    shown = formatted(sql[:LONGEST], len(sql))
    assert isinstance(shown, Markup)
    assert len(shown) < 30_000
    assert "<script" not in shown


def test_long_sql_says_how_much_is_left_out() -> None:
    shown = formatted("x" * LONGEST, LONGEST + 1500)
    assert shown == "x" * LONGEST + Markup('\n<span class="q-note">… and 1,500 more characters</span>')
    assert escape("<") in formatted("a < b", 5)
