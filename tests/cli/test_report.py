"""`chat-telemetry report` prints a rounded table, or exact CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from chat_telemetry._cli.demo.generator import generate
from chat_telemetry._cli.referenced_rows import create_referenced_rows
from chat_telemetry._cli.report import REPORTS
from chat_telemetry._cli.tables import _shrink, format_value, print_table
from chat_telemetry._delivery.store import Store
from chat_telemetry._encoding import encode
from tests.cli.conftest import Cli
from tests.conftest import Database, Server, copy_of
from tests.dbt_project import DbtProject, template_with_prices

AS_OF = date(2026, 11, 23)


@pytest.fixture(scope="module")
def built(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database with the reports of a few hundred chat requests, some of them with SQL that looks like markup."""
    records = list(generate(800, datetime(2026, 11, 23, 7, tzinfo=UTC)))
    for record in records[-9:]:
        record.generated_sql = "select '[red]\\' as \"[bold]\",\n e'\\x01' -- " + "long " * 50
    with copy_of(postgres, template_with_prices(postgres), "built") as database:
        with database.connect() as connection, closing(Store(database.conninfo)) as store:
            create_referenced_rows(connection, records)
            assert store.insert([encode(record) for record in records]).stored == len(records)
        DbtProject(database, tmp_path_factory.mktemp("dbt")).run("run", report_as_of=str(AS_OF))
        yield database


def rows(database: Database, name: str) -> int:
    with database.connect() as connection:
        found = connection.execute(f"select count(*) from chat_reports.{name}").fetchone()
    assert found is not None
    return int(found[0])


@pytest.mark.parametrize("name", REPORTS)
def test_a_table_shows_every_column_and_at_most_twenty_rows(cli: Cli, built: Database, name: str) -> None:
    outcome = cli("report", name, database=built)
    assert (outcome.code, outcome.err) == (0, "")
    with built.connect() as connection:
        columns = [c.name for c in connection.execute(f"select * from chat_reports.{name} limit 0").description or ()]
    lines = outcome.out.splitlines()
    total = rows(built, name)
    note = lines[-1:] if total > 20 else []
    if note:
        assert re.fullmatch(rf"20 of {total:,} rows(; the others have a \w+ of [\d.,]+)?: --top shows more", note[0])
    heading_lines = len(lines) - len(note) - min(total, 20)
    heading = " ".join(" ".join(lines[:heading_lines]).split())
    for column in columns:
        for word in column.split("_"):
            assert word in heading


@pytest.mark.parametrize("name", REPORTS)
def test_csv_and_json_contain_all_rows_with_exact_numbers(cli: Cli, built: Database, name: str) -> None:
    with built.connect() as connection:
        cursor = connection.execute(f"select to_jsonb(r) from chat_reports.{name} as r")
        expected = [row[0] for row in cursor]
        exact = connection.execute(f"select r::text from chat_reports.{name} as r").fetchall()
    in_json = json.loads(cli("report", name, "--format", "json", database=built).out)
    assert sorted(map(json.dumps, in_json)) == sorted(json.dumps({k: row[k] for k in in_json[0]}) for row in expected)
    in_csv = list(csv.reader(io.StringIO(cli("report", name, "--format", "csv").out)))
    assert in_csv[0] == list(in_json[0])
    assert len(in_csv) == len(exact) + 1
    for column in (column for column in in_csv[0] if column.endswith("_usd")):
        with built.connect() as connection:
            sums = connection.execute(f"select sum({column}) from chat_reports.{name}").fetchone()
        position = in_csv[0].index(column)
        assert sums == (sum(Decimal(row[position]) for row in in_csv[1:] if row[position]),)


def test_the_newest_day_comes_first(cli: Cli, built: Database) -> None:
    days = [row["day"] for row in json.loads(cli("report", "off_topic", "-f", "json", database=built).out)]
    assert days == sorted(days, reverse=True)


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("token_cost", "cost_usd"),
        ("errors", "request_count"),
        ("user_usage", "cost_usd"),
        ("sql_patterns", "occurrence_count"),
        ("off_topic", "request_count"),
        ("latency", ""),
        ("model_comparison", ""),
    ],
)
def test_what_is_not_shown_is_added_up_if_it_can_be(cli: Cli, built: Database, name: str, column: str) -> None:
    everything = json.loads(cli("report", name, "-f", "json", database=built).out, parse_float=Decimal)
    last = cli("report", name, "--top", "2").out.splitlines()[-1]
    if not column:
        assert last == f"2 of {len(everything):,} rows: --top shows more"
        return
    rest = sum(row[column] or 0 for row in everything[2:])
    shown = format_value(column, rest)
    assert last == f"2 of {len(everything):,} rows; the others have a {column} of {shown}: --top shows more"


@pytest.mark.parametrize(("since", "first"), [("1d", "2026-11-23"), ("7d", "2026-11-17"), ("2026-11-20", "2026-11-20")])
def test_since_keeps_the_days_from_one_on(cli: Cli, built: Database, since: str, first: str) -> None:
    for name in ("token_cost", "errors", "off_topic"):
        everything = json.loads(cli("report", name, "-f", "json", database=built).out)
        found = json.loads(cli("report", name, "-f", "json", "--since", since).out)
        assert found == [row for row in everything if row["day"] >= first]
        assert min(row["day"] for row in found) == first


def test_since_is_refused_where_a_report_has_no_days_and_where_it_is_none(cli: Cli, built: Database) -> None:
    for name in ("latency", "user_usage", "sql_patterns", "model_comparison"):
        outcome = cli("report", name, "--since", "7d", database=built)
        assert (outcome.code, outcome.out) == (2, "")
        assert outcome.err == f"error: --since needs a report with a row per day: {name} has fixed periods\n"
    for since in ("7", "7w", "2026-13-01", "yesterday", "-7d", ""):
        outcome = cli("report", "off_topic", f"--since={since}")
        assert (outcome.code, len(outcome.err.splitlines())) == (2, 1)
        assert "expected days, for example 14d, or a date" in outcome.err


def test_the_overview_has_the_figures_of_the_reports_and_fits_120_columns(
    cli: Cli, built: Database, tmp_path: Path
) -> None:
    shown = cli("report", database=built).out
    lines = on_terminal(120, ["report"], built, tmp_path)
    assert max(map(len, lines)) <= 120
    assert len(lines) < 35
    assert [line.split() for line in lines if line] == [line.split() for line in shown.splitlines() if line]
    week = [f"2026-11-{day}" for day in range(16, 23)]
    requests = [row for row in json.loads(cli("report", "off_topic", "-f", "json").out) if row["day"] in week]
    assert shown.startswith(
        f"16 to 22 Nov 2026: {sum(row['request_count'] for row in requests):,} chat requests, cost $"
    )
    for name in ("gpt-4o-2024-08-06", "in-house-sql-7b", "response_generation", "sql_execution"):
        assert name in shown
    assert re.search(r"in-house-sql-7b +no price", shown)
    assert re.search(r"gpt-4o-2024-08-06 .*[▁▂▃▄▅▆▇█ ]{20,}", shown)
    assert "0 changes pending" in shown


def test_a_narrow_terminal_and_one_without_blocks_get_fewer_columns(
    built: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow = on_terminal(60, ["report"], built, tmp_path)
    assert max(len(line) for line in narrow if line.startswith("gpt-4o-2024-08-06")) <= 60
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    without = "\n".join(on_terminal(120, ["report"], built, tmp_path))
    assert "gpt-4o-2024-08-06" in without
    assert not re.search("[▁▂▃▄▅▆▇█]", without)


def test_an_overview_of_nothing_says_what_is_missing(cli: Cli, database: Database) -> None:
    outcome = cli("report", database=database)
    assert outcome.code == 4
    assert outcome.err.startswith("error: the reports are not built: run")
    outcome = cli("report", "--top", "3")
    assert outcome.code == 2
    assert outcome.err.startswith("error: an overview has no --top, --since and --format: name a report")


def test_a_number_of_rows_applies_to_every_format(cli: Cli, built: Database) -> None:
    assert len(json.loads(cli("report", "off_topic", "-f", "json", "--top", "3", database=built).out)) == 3
    assert len(cli("report", "off_topic", "-f", "csv", "--top", "3").out.splitlines()) == 4
    assert "3 of " in cli("report", "off_topic", "--top", "3").out
    assert "--top shows more" not in cli("report", "off_topic", "--top", "1000").out


def test_sql_is_shown_without_markup_and_on_one_line(cli: Cli, built: Database) -> None:
    shown = next(text for text in cli("report", "sql_patterns", database=built).out.splitlines() if "[red]" in text)
    assert "select '[red]\\' as \"[bold]\", e'\\x01' -- long" in shown
    assert "…" in shown
    whole = json.loads(cli("report", "sql_patterns", "-f", "json").out)
    assert any(row["example_sql"].endswith("long " * 50) for row in whole)


def test_on_a_terminal_only_the_columns_that_fit_are_shown(built: Database, tmp_path: Path) -> None:
    for name in REPORTS:
        shown = on_terminal(80, ["report", name], built, tmp_path)
        assert max(map(len, shown)) <= 80
        assert any(text.startswith("20 of ") for text in shown) or rows(built, name) <= 20
        if name == "model_comparison":
            assert any(text.endswith(" of 21 columns fit here; --format csv shows all") for text in shown)


def create(database: Database, name: str, definition: str) -> None:
    """Create a report for telemetry_reader: `definition` begins with the kind of relation."""
    kind, _, query = definition.partition(" as ")
    with database.connect() as connection:
        connection.execute(f"create {kind} chat_reports.{name} as {query}")
        connection.execute(f"grant select on chat_reports.{name} to telemetry_reader")


def test_an_empty_report_prints_that_it_has_no_rows(cli: Cli, database: Database) -> None:
    create(database, "off_topic", "table as select current_date as day, 1 as request_count limit 0")
    table = cli("report", "off_topic", database=database)
    assert table.code == 0
    assert table.out.splitlines()[-1] == "no rows: the log has no chat requests in the days of this report"
    assert cli("report", "off_topic", "-f", "csv").out == "day,request_count\n"
    assert json.loads(cli("report", "off_topic", "-f", "json").out) == []


def test_the_error_of_a_report_that_is_not_built_says_what_to_run(
    cli: Cli, database: Database, empty_database: Database
) -> None:
    create(database, "latency", "materialized view as select 1 as of_another_version")
    create(database, "off_topic", "materialized view as select current_date as day with no data")
    for each, name in [
        *((database, "latency"), (database, "errors"), (empty_database, "errors")),
        (database, "off_topic"),
    ]:
        outcome = cli("report", name, database=each)
        assert outcome.code == 4
        assert outcome.err == f"error: the report {name} is not built: run `chat-telemetry migrate`, then `dbt build`\n"


def test_an_error_in_a_report_is_one_line(cli: Cli, database: Database) -> None:
    create(database, "off_topic", "view as select 1 / n as day from generate_series(0, 1) as n")
    outcome = cli("report", "off_topic", database=database)
    assert (outcome.code, outcome.out, outcome.err) == (3, "", "error: division by zero\n")


def test_the_error_of_an_unknown_report_lists_the_reports(cli: Cli, database: Database) -> None:
    outcome = cli("report", "costs", database=database)
    assert outcome.code == 2
    assert all(name in outcome.err for name in REPORTS)


def test_a_report_that_a_user_added_can_be_shown(cli: Cli, database: Database) -> None:
    create(database, "daily_active_users", "materialized view as select 1 as day, 7 as user_count")
    outcome = cli("report", "daily_active_users", database=database)
    assert outcome.code == 0
    assert outcome.out.split() == ["user", "day", "count", "1", "7"]
    assert cli("report", "daily_active_users", "--format", "json").out == '[{"day":1,"user_count":7}]\n'


VALUES = """materialized view as select
1 as id, 2 as report, 12345678901234567890.123456789 as amount, 1e20::float8 as large, 0.1::float8 + 0.2 as sum,
-7 as negative, repeat('9', 30)::numeric as many_digits, 'NaN'::numeric as none, true as is_true, false as is_false,
'a "quoted", text' || chr(10) as text, null as empty, array[1.50, null] as list, '{"a": 1.50}'::json as object,
'=1+1' as formula, timestamptz '2026-11-23 12:00Z' as moment"""


def test_every_kind_of_value_has_all_its_digits(cli: Cli, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    create(database, "mine", VALUES)
    monkeypatch.setenv("PGOPTIONS", "-c extra_float_digits=-15 -c timezone=UTC")
    values = {
        "id": "1",
        "report": "2",
        "amount": "12345678901234567890.123456789",
        "large": "1e+20",
        "sum": "0.30000000000000004",
        "negative": "-7",
        "many_digits": "9" * 30,
        "none": "NaN",
        "is_true": "true",
        "is_false": "false",
        "text": 'a "quoted", text\n',
        "empty": "",
        "list": "[1.50,null]",
        "object": '{"a": 1.50}',
        "formula": "=1+1",
        "moment": "2026-11-23T12:00:00+00:00",
    }
    in_csv = list(csv.reader(io.StringIO(cli("report", "mine", "-f", "csv", database=database).out)))
    assert in_csv == [list(values), list(values.values())]
    in_json = cli("report", "mine", "-f", "json").out
    assert '"amount":12345678901234567890.123456789,"large":1e+20,"sum":0.30000000000000004,' in in_json
    assert '"list":[1.50,null],"object":{"a": 1.50},' in in_json
    (row,) = cli("report", "mine").out.splitlines()[-1:]
    shown = ["1", "2", "12,345,678,901,234,567,890.1", "100,000,000,000,000,000,000.0", "0.3", "-7"]
    assert row.split()[:6] == shown
    assert [cell.strip() for cell in row.split("  ") if cell][-4:-1] == ["[1.50,null]", '{"a": 1.50}', "=1+1"]


def test_a_whole_number_of_a_column_with_decimals_has_them_too(cli: Cli, database: Database) -> None:
    create(database, "mine", "materialized view as select 1 as n, 1::float8 as x_rate, 2::numeric as y_usd, 3.0 as ms")
    assert cli("report", "mine", database=database).out.split()[-4:] == ["1", "1.0000", "2.0000", "3.0"]


def test_a_report_with_one_column_can_be_shown(cli: Cli, database: Database) -> None:
    create(database, "one", "materialized view as select 7 as n")
    assert cli("report", "one", "-f", "csv", database=database).out == "n\n7\n"


@pytest.mark.parametrize(
    ("column", "value", "shown"),
    [
        ("call_count", 1234567, "1,234,567"),
        ("cost_usd", Decimal("1234.56789"), "1,234.5679"),
        ("cost_usd", None, "–"),  # noqa: RUF001
        ("cost_per_request_usd", Decimal("0.0012345"), "0.001234"),
        ("error_rate", Decimal("0.03125"), "0.0312"),
        ("share_of_requests", Decimal(1), "1.0000"),
        ("p95_ms", 1234.56, "1,234.6"),
        ("day", AS_OF, "2026-11-23"),
        ("example_sql", "select\n\t1\x1b[1m", "select 1\\x1b[1m"),
    ],
)
def test_cells_are_rounded_by_their_unit(column: str, value: object, shown: str) -> None:
    assert format_value(column, value) == shown


def test_numbers_are_aligned_to_the_right_below_headings_that_wrap(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["model", "call_count", "cost_usd"], [["gpt-4o", 1234, 0.5], ["[b]o3", 5, None]], ["model"])
    assert capsys.readouterr().out.splitlines() == [
        "         call    cost",
        "model   count     usd",
        "gpt-4o  1,234  0.5000",
        "[b]o3       5       –",  # noqa: RUF001
    ]


def test_a_text_is_cut_at_sixty_characters(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["sql"], [["x" * 60], ["y" * 61]], ["sql"])
    assert capsys.readouterr().out.splitlines()[1:] == ["x" * 60, "y" * 59 + "…"]


@pytest.mark.parametrize(
    ("widths", "room", "shrunk", "fits"),
    [
        ([10, 60, 50], 124, [10, 60, 50], True),
        ([10, 60, 50], 123, [10, 59, 50], True),
        ([10, 60, 50], 80, [10, 24, 42], True),
        ([10, 60, 50], 62, [10, 24, 24], True),
        ([10, 60, 50], 61, [10, 24, 24], False),
        ([41, 10], 45, [33, 10], True),
        ([40, 10], 45, [40, 10], False),
    ],
)
def test_only_wide_columns_of_prose_are_cut_to_fit_and_only_as_far_as_needed(
    widths: list[int], room: int, shrunk: list[int], fits: bool
) -> None:
    assert _shrink(widths, room) is fits
    assert widths == shrunk


def on_terminal(width: int, arguments: list[str], database: Database, cwd: Path) -> list[str]:
    """The lines that the command prints on a terminal with `width` columns, without colors."""
    own_end, command_end = pty.openpty()
    termios.tcsetwinsize(command_end, (50, width))
    environment = {**os.environ, "CHAT_TELEMETRY_DATABASE_URL": database.conninfo, "TERM": "xterm"}
    environment.pop("COLUMNS", None)
    with subprocess.Popen(
        [sys.executable, "-c", "from chat_telemetry._cli import main; main()", *arguments],
        stdin=command_end,
        stdout=command_end,
        stderr=command_end,
        cwd=cwd,
        env=environment,
    ):
        os.close(command_end)
        shown = b""
        try:
            while block := os.read(own_end, 65536):
                shown += block
        except OSError:
            pass  # on Linux, the read fails after the last writer has closed the terminal
    os.close(own_end)
    return [text.rstrip("\r") for text in re.sub(r"\x1b\[[0-9;]*m", "", shown.decode()).split("\n")]
