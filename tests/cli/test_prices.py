"""`chat-telemetry prices` shows the price of each logged model and what it lacks; its lines, filled in, can be set."""

from __future__ import annotations

import csv
import io
import json
import secrets
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from chat_telemetry import TelemetryRecord
from chat_telemetry._cli.price_file import BLANKS
from chat_telemetry._cli.referenced_rows import create_referenced_rows
from chat_telemetry._delivery.store import Store
from chat_telemetry._encoding import encode
from tests.cli.conftest import Cli, Outcome
from tests.cli.test_report import on_terminal
from tests.conftest import Database, Server, copy_of
from tests.dbt_project import DbtProject, template_with_prices

AS_OF = date(2026, 11, 23)
HEADER = "model,valid_from,input_usd_per_mtok,cached_input_usd_per_mtok,output_usd_per_mtok,source"
# The days before AS_OF on which each model was called.
CALLS = {
    "gpt-4o-mini": [0, 0, 1],
    "gpt-4o": [0],
    "o3-2025-04-16": [0, 0],
    "undated-list": [0],
    "our-model": [0, 1, 2],
    "our-old-model": [0],
    "our-model-of-the-seed": [0],
    "priced-too-late": [0, 5, 6],
    "new-model": [0, 3, 40],
    " new-model\u00a0": [4],
    'odd, "model"': [29],
    "red\x1b[31m": [29],
    "gone-model": [30],
    None: [2],
    "\u2003": [2],
}


@cache
def today() -> date:
    """When the database of the tests was built: they were collected long before, which can be the day before."""
    return datetime.now(UTC).date()


def new_list() -> str:
    return f"genai-prices 9.2 of {today() - timedelta(days=90)}"


def old_list() -> str:
    return f"genai-prices 9.1 of {today() - timedelta(days=91)}"


def prices_of_its_own() -> list[tuple[object, ...]]:
    return [
        ("our-model", AS_OF - timedelta(days=9), 3, 0.3, 9, "contract", today() - timedelta(days=90)),
        ("our-old-model", AS_OF - timedelta(days=9), 4, None, 8, "contract, signed", today() - timedelta(days=91)),
        ("priced-too-late", AS_OF - timedelta(days=1), 5, 0.5, 6, "contract", today()),
    ]


def requests() -> Iterator[TelemetryRecord]:
    """A chat request per entry of CALLS, with one model call."""
    user = uuid.UUID("6f0f6a3e-3f0a-4c11-9a3b-0a8a5a4b7c11")
    for model, days in CALLS.items():
        for day in days:
            at = datetime(AS_OF.year, AS_OF.month, AS_OF.day, 12, tzinfo=UTC) - timedelta(days=day)
            yield TelemetryRecord(
                user_id=user,
                user_question="?",
                created_at=at,
                sql_model=model,
                sql_input_tokens=10,
                sql_output_tokens=1,
            )


@pytest.fixture(scope="module")
def built(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database with the reports of CALLS, list prices of two dates, and own prices. No test changes it."""
    records = list(requests())
    today.cache_clear()
    with copy_of(postgres, template_with_prices(postgres), "built") as database:
        with database.connect() as connection, closing(Store(database.conninfo)) as store:
            create_referenced_rows(connection, records)
            assert store.insert([encode(record) for record in records]).stored == len(records)
            project = DbtProject(database, tmp_path_factory.mktemp("dbt"))
            connection.execute("update chat_prices.token_prices set source = %s", [new_list()])
            connection.execute(
                "update chat_prices.token_prices set source = %s where model ~ '^(gpt-4o|o3)$'", [old_list()]
            )
            connection.execute(
                "insert into chat_prices.token_prices values"
                " ('x', 'undated-list', '2026-01-01', 1, null, 2, 'genai-prices 8 of 2026-02-30'),"
                " ('x', 'our-model-of-the-seed', '2020-01-01', 1, 0.1, 2, 'contract')"
            )
            connection.cursor().executemany(
                "insert into chat_rollups.own_prices values (%s, %s, %s, %s, %s, %s, %s)", prices_of_its_own()
            )
            project.run("run", report_as_of=str(AS_OF))
        yield database


@pytest.fixture
def copy(postgres: Server, built: Database) -> Iterator[Database]:
    """A copy of the built database, to change."""
    with copy_of(postgres, built.name, "copy") as database:
        yield database


Setting = Callable[..., Outcome]


@pytest.fixture
def set_prices(cli: Cli, tmp_path: Path, database: Database) -> Setting:
    """Set the prices of own.csv, a file with the header and these lines."""

    def invoke(*lines: str, on: Database = database) -> Outcome:
        (tmp_path / "own.csv").write_text("".join(f"{line}\n" for line in (HEADER, *lines)))
        return cli("prices", "set", "own.csv", database=on)

    return invoke


def own_prices(database: Database) -> list[str]:
    """The rows of own_prices, each as text."""
    with database.connect() as connection:
        return [row for (row,) in connection.execute("select o::text from chat_rollups.own_prices as o order by 1")]


def shown(cli: Cli, database: Database, *options: str) -> dict[str, dict[str, Any]]:
    """What `prices --json` prints, by model."""
    outcome = cli("prices", "--json", *options, database=database)
    assert (outcome.code, outcome.err) == (0, "")
    return {entry["model"]: entry for entry in json.loads(outcome.out)}


def test_json_has_the_price_of_each_logged_model(cli: Cli, built: Database) -> None:
    found = shown(cli, built)
    assert set(found) == {name or "unknown" for name in CALLS} - {"gone-model"}
    assert found["our-model"] == {
        "model": "our-model",
        "call_count": 3,
        "unpriced_call_count": 0,
        "price_match": "exact",
        "price_model": "our-model",
        "input_usd_per_mtok": 3,
        "cached_input_usd_per_mtok": 0.3,
        "output_usd_per_mtok": 9,
        "valid_from": str(AS_OF - timedelta(days=9)),
        "source": "contract",
        "confirmed_on": str(today() - timedelta(days=90)),
        "unpriced_since": None,
        "state": "current",
    }
    o3 = found["o3-2025-04-16"]
    assert (o3["price_match"], o3["price_model"], o3["source"]) == ("undated", "o3", old_list())
    new = found["new-model"]
    assert (new["call_count"], new["unpriced_call_count"], new["price_match"]) == (2, 2, "unpriced")
    assert (new["price_model"], new["input_usd_per_mtok"], new["confirmed_on"]) == (None, None, None)


def test_the_prices_are_those_that_the_reports_apply(cli: Cli, built: Database) -> None:
    found = shown(cli, built)
    with built.connect() as connection:
        costs = connection.execute(
            "select model, input_tokens, output_tokens, cost_usd from chat_reports.token_cost where day = %s", [AS_OF]
        ).fetchall()
    assert len(costs) == 9
    for model, input_tokens, output_tokens, cost in costs:
        price = found[model]
        if cost is None:
            assert price["price_match"] == "unpriced"
            continue
        usd = [Decimal(str(price[f"{kind}_usd_per_mtok"])) for kind in ("input", "output")]
        assert (input_tokens * usd[0] + output_tokens * usd[1]) / 1_000_000 == cost


def test_what_needs_something_comes_first(cli: Cli, built: Database) -> None:
    states = {model: entry["state"] for model, entry in shown(cli, built).items()}
    assert list(states.items()) == [
        ("priced-too-late", "unpriced"),
        ("new-model", "unpriced"),
        (" new-model\u00a0", "unpriced"),
        ('odd, "model"', "unpriced"),
        ("red\x1b[31m", "unpriced"),
        ("unknown", "unpriced"),
        ("\u2003", "unpriced"),
        ("o3-2025-04-16", "old"),
        ("gpt-4o", "old"),
        ("our-model-of-the-seed", "old"),
        ("our-old-model", "old"),
        ("gpt-4o-mini", "current"),
        ("our-model", "current"),
        ("undated-list", "current"),
    ]


def test_days_sets_which_models_are_shown_and_which_calls_are_counted(cli: Cli, built: Database) -> None:
    assert shown(cli, built, "--days", "31")["gone-model"]["call_count"] == 1
    assert shown(cli, built, "--days", "41")["new-model"]["call_count"] == 3
    one_day = shown(cli, built, "--days", "1")
    assert set(one_day) == {model for model, days in CALLS.items() if 0 in days}
    # Priced on that day. The calls before it are not looked at.
    assert (one_day["priced-too-late"]["call_count"], one_day["priced-too-late"]["state"]) == (1, "current")


def test_the_lines_to_add_begin_on_the_first_day_without_a_price(cli: Cli, built: Database) -> None:
    outcome = cli("prices", "--missing", database=built)
    assert (outcome.code, outcome.err) == (0, "")
    assert list(csv.reader(io.StringIO(outcome.out))) == [
        HEADER.split(","),
        ["priced-too-late", str(AS_OF - timedelta(days=6)), "", "", "", ""],
        ["new-model", str(AS_OF - timedelta(days=40)), "", "", "", ""],
        ['odd, "model"', str(AS_OF - timedelta(days=29)), "", "", "", ""],
        ["red\x1b[31m", str(AS_OF - timedelta(days=29)), "", "", "", ""],
    ]


def test_the_table_is_followed_by_what_there_is_to_do(cli: Cli, built: Database) -> None:
    outcome = cli("prices", database=built)
    assert (outcome.code, outcome.err) == (0, "")
    table, *paragraphs = outcome.out.rstrip().split("\n\n")
    assert len(table.splitlines()) - 15 in range(1, 6)  # the heading wraps
    assert "\x1b" not in outcome.out
    days = [AS_OF - timedelta(days=age) for age in (6, 40, 29, 9)]
    assert paragraphs == [
        "2 calls without the name of a model: log sql_model and response_model in the chat application.",
        "3 names without a price. Add the prices to these lines (`--missing` prints only them) and run"
        f" `chat-telemetry prices set FILE.csv`:\n{HEADER}\npriced-too-late,{days[0]},,,,\nnew-model,{days[1]},,,,\n"
        f'"odd, ""model""",{days[2]},,,,',
        "1 name without a price not shown here, because of control characters: see `--missing`.",
        f"The prices of 2 models are from {old_list()}, more than 90 days ago: install a newer chat-telemetry and run"
        " `dbt seed` and `dbt run`, or set own prices.",
        f"2 own prices not confirmed for 90 days. If they still hold, set these lines again:\n{HEADER}\n"
        f'our-model-of-the-seed,2020-01-01,1,0.1,2,contract\nour-old-model,{days[3]},4,4,8,"contract, signed"',
    ]


def test_prices_are_shown_with_all_their_digits(cli: Cli, built: Database) -> None:
    line = next(line for line in cli("prices", database=built).out.splitlines() if line.startswith("gpt-4o-mini"))
    assert line.split()[5:8] == ["0.15", "0.075", "0.6"]


def test_on_a_narrow_terminal_the_names_and_prices_are_shown(built: Database, tmp_path: Path) -> None:
    shown_lines = on_terminal(80, ["prices"], built, tmp_path)
    assert any(line.endswith(" of 11 columns fit here; --json shows all") for line in shown_lines)
    assert any(line.startswith("gpt-4o-mini") and "0.15" in line for line in shown_lines)


def test_lines_that_are_filled_in_price_the_calls_at_the_next_run(
    cli: Cli, copy: Database, set_prices: Setting, tmp_path: Path
) -> None:
    lines = cli("prices", "--missing", database=copy).out.splitlines()[1:]
    filled = [line.removesuffix(",,,,") + ",1,0.1,4,our contract" for line in lines]
    assert set_prices(*filled, on=copy).out == "4 prices set: the next dbt run applies them\n"
    pending = shown(cli, copy)
    assert {pending[name]["state"] for name in ("new-model", " new-model\u00a0", "priced-too-late")} == {"set"}
    assert cli("prices", "--missing").out == f"{HEADER}\n"
    assert "\n\nOwn prices of 5 models are set: the next dbt run applies them.\n" in cli("prices").out
    DbtProject(copy, tmp_path).run("run", report_as_of=str(AS_OF))
    priced = shown(cli, copy, "--days", "41")
    assert [name for name, entry in priced.items() if entry["state"] == "unpriced"] == [
        "gone-model",
        "unknown",
        "\u2003",
    ]
    assert priced["new-model"]["input_usd_per_mtok"] == 1
    # Its own price of a later day still holds.
    assert priced["priced-too-late"]["input_usd_per_mtok"] == 5


def test_a_price_of_unknown_is_that_of_calls_without_a_name(
    cli: Cli, copy: Database, set_prices: Setting, tmp_path: Path
) -> None:
    set_prices(f"unknown,{AS_OF - timedelta(days=2)},1,0.1,4,contract", on=copy)
    assert shown(cli, copy)["unknown"]["state"] == "set"
    DbtProject(copy, tmp_path).run("run", report_as_of=str(AS_OF))
    found = shown(cli, copy)["unknown"]
    assert (found["state"], found["price_match"], found["input_usd_per_mtok"]) == ("current", "exact", 1)


def test_an_old_own_price_that_is_set_again_is_confirmed(cli: Cli, copy: Database, set_prices: Setting) -> None:
    lines = cli("prices", database=copy).out.rstrip().split(f"set these lines again:\n{HEADER}\n")[1].splitlines()
    assert set_prices(*lines, on=copy).out == "2 prices set, 1 replaced: the next dbt run applies them\n"
    assert shown(cli, copy)["our-old-model"]["confirmed_on"] == str(today())


def test_without_calls_there_is_one_sentence(cli: Cli, copy: Database, tmp_path: Path) -> None:
    with copy.connect() as connection:
        connection.execute("delete from public.chat_telemetry_log")
    DbtProject(copy, tmp_path).run("run", report_as_of=str(AS_OF))
    assert cli("prices", database=copy).out == "no model was logged in the last 30 days\n"
    assert cli("prices", "--days", "1").out == "no model was logged in the last 1 day\n"
    assert cli("prices", "--json").out == "[]\n"
    assert cli("prices", "--missing").out == f"{HEADER}\n"


def test_members_of_the_transformer_may_show_and_only_the_owner_may_set(
    cli: Cli, built: Database, set_prices: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as environment:
        environment.setenv("PGOPTIONS", "-c role=telemetry_transformer")
        assert cli("prices", database=built).code == 0
        for outcome in (set_prices("m,2026-01-01,1,,2,s", on=built), cli("prices", "unset", "our-model")):
            assert (outcome.code, outcome.out) == (3, "")
            assert outcome.err == (
                "error: permission denied for table own_prices: connect as a role that is allowed to"
                " (docs/cli.md lists them)\n"
            )
        environment.setenv("PGOPTIONS", "-c role=telemetry_reader")
        denied = cli("prices", database=built)
        assert (denied.code, denied.err.count("\n")) == (3, 1)


def test_prices_of_a_file_are_stored_exactly(database: Database, set_prices: Setting) -> None:
    outcome = set_prices('"a, b",2026-01-01,0.15,,0.60,"contract, 2026"', "c,2026-02-01,3,0.000000001,9.50,c")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == "2 prices set: the next dbt run applies them\n"
    assert own_prices(database) == [
        f'("a, b",2026-01-01,0.15,,0.60,"contract, 2026",{today()})',
        f"(c,2026-02-01,3,0.000000001,9.50,c,{today()})",
    ]


def test_the_longest_name_and_the_highest_price_fit_the_table(database: Database, set_prices: Setting) -> None:
    name = secrets.token_hex(1000)  # which cannot be compressed to fit the index
    assert set_prices(f"{name},2026-01-01,100000,100000,100000,s").code == 0
    assert own_prices(database) == [f"({name},2026-01-01,100000,100000,100000,s,{today()})"]


def test_a_price_of_the_same_model_and_day_is_replaced_and_others_stay(database: Database, set_prices: Setting) -> None:
    assert set_prices("m,2026-01-01,1,1,1,s", "n,2026-01-01,1,1,1,s").code == 0
    with database.connect() as connection:
        connection.execute("update chat_rollups.own_prices set confirmed_on = '2026-01-01'")
    outcome = set_prices("m,2026-01-01,2,,3,t", "m,2026-02-01,4,,5,t")
    assert outcome.out == "2 prices set, 1 replaced: the next dbt run applies them\n"
    assert own_prices(database) == [
        f"(m,2026-01-01,2,,3,t,{today()})",
        f"(m,2026-02-01,4,,5,t,{today()})",
        "(n,2026-01-01,1,1,1,s,2026-01-01)",
    ]


def test_the_same_blanks_are_removed_from_names_as_in_the_reports(database: Database) -> None:
    every = [chr(code) for code in range(1, 0x10000) if not 0xD800 <= code < 0xE000]
    with database.connect() as connection:
        removed = connection.execute(
            "select c from unnest(%s::text[]) as c where chat_rollups.without_blanks('a' || c) = 'a'", [every]
        ).fetchall()
    assert {character for (character,) in removed} == set(BLANKS)


def test_prices_are_set_from_stdin(cli: Cli, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    content = f"\ufeff{HEADER}\r\nm,2026-01-01,1,,2,s\r\n".encode()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    assert cli("prices", "set", "-", database=database).out == "1 price set: the next dbt run applies them\n"
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content + b"bad\n")))
    assert cli("prices", "set", "-").err.startswith("stdin:3: 1 of 6 values")


def test_a_faulty_line_is_named_and_then_no_price_is_set(database: Database, set_prices: Setting) -> None:
    outcome = set_prices("m,2026-01-01,1,,2,s", "n,01/02/2026,1,,2,s", "new-model,2026-01-01,,,,")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.splitlines() == [
        "own.csv:3: valid_from: '01/02/2026' is not a date like 2026-01-31",
        "own.csv:4: input_usd_per_mtok is empty",
        "error: own.csv: no price was set: fix 2 lines and set the file again",
    ]
    assert own_prices(database) == []


def test_the_first_twenty_faulty_lines_are_named(database: Database, set_prices: Setting) -> None:
    outcome = set_prices(*["m,2026-01-01,-1,,2,s"] * 30)
    assert [line.split(":")[1] for line in outcome.err.splitlines()[:-1]] == [str(line) for line in range(2, 22)]
    assert outcome.err.endswith("error: own.csv: no price was set: fix 30 lines and set the file again\n")
    assert own_prices(database) == []


def test_a_price_that_the_database_rejects_leaves_every_other_unset(database: Database, set_prices: Setting) -> None:
    with database.connect() as connection:
        connection.execute("alter table chat_rollups.own_prices add constraint cheap check (input_usd_per_mtok < 5)")
    outcome = set_prices("m,2026-01-01,1,,2,s", "n,2026-01-01,9,,2,s")
    assert (outcome.code, outcome.err.count("\n")) == (3, 1)
    assert 'violates check constraint "cheap"' in outcome.err
    assert own_prices(database) == []


@pytest.mark.parametrize(
    "usd", [("NaN", None, 1), ("1", "NaN", 1), ("1", None, "Infinity"), ("-1", None, 1), ("1", 2, 1), (None, None, 1)]
)
def test_plain_sql_cannot_set_a_price_that_no_file_can(database: Database, usd: tuple[object, ...]) -> None:
    with database.connect() as connection, pytest.raises(psycopg.IntegrityError):
        connection.execute("insert into chat_rollups.own_prices values ('m', '2026-01-01', %s, %s, %s, 's')", usd)


def test_a_file_without_prices_or_no_file_is_one_line(
    cli: Cli, database: Database, set_prices: Setting, tmp_path: Path
) -> None:
    outcome = set_prices()
    assert (outcome.code, outcome.err) == (1, "error: own.csv: no price was set: the file has only its header\n")
    (tmp_path / "own.csv").write_text(HEADER.replace(",", ";"))
    refused = cli("prices", "set", "own.csv", database=database)
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert refused.err.startswith("error: own.csv:1: the columns are separated by semicolons")
    absent = cli("prices", "set", "absent.csv")
    assert (absent.code, absent.err) == (2, "error: absent.csv: no such file\n")
    assert cli("prices", "set", str(tmp_path)).err == f"error: {tmp_path}: is a directory\n"


def test_without_the_tables_the_error_says_what_to_run(
    cli: Cli, database: Database, empty_database: Database, set_prices: Setting
) -> None:
    for outcome in (set_prices("m,2026-01-01,1,,2,s", on=empty_database), cli("prices", "unset", "m")):
        assert (outcome.code, outcome.out) == (4, "")
        assert outcome.err == "error: the database has no table of own prices: run `chat-telemetry migrate`\n"
    for each in (database, empty_database):
        outcome = cli("prices", database=each)
        assert (outcome.code, outcome.out) == (4, "")
        assert outcome.err == "error: the reports are not built: run `chat-telemetry migrate`, then `dbt build`\n"


def test_unset_removes_the_prices_of_a_model_and_prints_how_to_set_them_again(
    cli: Cli, database: Database, set_prices: Setting, tmp_path: Path
) -> None:
    lines = ["m,2026-01-01,1,,2,s", '"m",2026-02-01,3,0.30,4,"s, t"', "n,2026-01-01,1,1,1,s"]
    set_prices(*lines)
    before = own_prices(database)
    one = cli("prices", "unset", "m", "2026-02-01", database=database)
    assert (one.code, one.err) == (0, "1 price removed: the next dbt run applies it\n")
    assert one.out == f'{HEADER}\nm,2026-02-01,3,0.30,4,"s, t"\n'
    set_prices(*lines)
    both = cli("prices", "unset", " m ")
    assert both.err == "2 prices removed: the next dbt run applies it\n"
    assert own_prices(database) == [before[2]]
    (tmp_path / "undo.csv").write_text(both.out)
    assert cli("prices", "set", "undo.csv").out == "2 prices set: the next dbt run applies them\n"
    assert own_prices(database) == before


def test_unset_names_the_days_if_there_is_no_such_price(cli: Cli, database: Database, set_prices: Setting) -> None:
    set_prices("m,2026-01-01,1,,2,s", "m,2026-02-01,1,,2,s")
    outcome = cli("prices", "unset", "m", "2026-03-01", database=database)
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == ("error: nothing was removed for 'm': its own prices are valid from 2026-01-01, 2026-02-01\n")
    assert cli("prices", "unset", "M").err == "error: nothing was removed for 'M': the model has no own price\n"
    assert cli("prices", "unset", "m\udcff").err == "error: nothing was removed for 'm?': the model has no own price\n"
    assert len(own_prices(database)) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("bogus",),
        ("--bogus",),
        ("--days", "0"),
        ("--json", "--missing"),
        ("set",),
        ("set", "a.csv", "b.csv"),
        ("unset",),
        ("unset", "m", "01/02/2026"),
        ("unset", "m", "2026-01-01", "more"),
        ("--json", "set", "a.csv"),
        ("--days", "7", "unset", "m"),
    ],
    ids=" ".join,
)
def test_a_usage_error_is_one_line(cli: Cli, database: Database, arguments: tuple[str, ...]) -> None:
    outcome = cli("prices", *arguments, database=database)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1


def test_the_database_of_a_subcommand_is_given_after_its_name(cli: Cli, database: Database) -> None:
    """A URL before the name must not be ignored for that of the environment: prices would be set elsewhere."""
    before = cli("prices", "--database-url", "host=127.0.0.1 port=1", "unset", "m", database=database)
    assert (before.code, before.err) == (2, "error: write --database-url after `prices unset`, if it has this option\n")
    after = cli("prices", "unset", "m", "--database-url", "host=127.0.0.1 port=1", database=database)
    assert after.code == 3


def test_without_a_database_the_error_names_the_option(cli: Cli) -> None:
    for arguments in (("prices",), ("prices", "unset", "m")):
        outcome = cli(*arguments)
        assert (outcome.code, outcome.err.count("\n")) == (2, 1)
        assert "Missing option '--database-url'" in outcome.err


def test_a_locked_table_stops_the_command_with_one_line(
    cli: Cli, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat_telemetry._cli.prices.LOCK_TIMEOUT_S", 1)
    file = tmp_path / "own.csv"
    file.write_text(f"{HEADER}\nm,2026-01-01,1,,2,s\n")
    with database.connect() as connection, connection.transaction():
        connection.execute("lock table chat_rollups.own_prices")
        for arguments in (("set", str(file)), ("unset", "m")):
            outcome = cli("prices", *arguments, database=database)
            assert outcome.code == 3
            assert outcome.err == "error: another session has locked the own prices: run the command again\n"
