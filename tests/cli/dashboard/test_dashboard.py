"""`chat-telemetry dashboard` on real reports: the figures, the rights, the file."""

from __future__ import annotations

import html
import json
import re
import stat
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from chat_telemetry._cli.bi import reading, text
from chat_telemetry._cli.bi.reading import read_reports
from chat_telemetry._cli.dashboard import make_page
from chat_telemetry._cli.errors import DatabaseFailed
from chat_telemetry._cli.options import connect
from chat_telemetry._cli.report import REPORTS
from tests.cli.conftest import Cli
from tests.cli.dashboard.conftest import AS_OF
from tests.conftest import Database, Server, copy_of
from tests.dbt_project import DbtProject, template_with_prices

WEEK = [str(AS_OF - timedelta(days=back)) for back in range(1, 8)]
# A change in a row of each report that the page shows.
CHANGES = {
    "token_cost": "cost_usd = cost_usd + 0.5",
    "latency": "p95_ms = p95_ms + 100, p99_ms = p99_ms + 100, max_ms = max_ms + 100",
    "errors": "request_count = request_count + 1",
    "user_usage": "active_days = active_days + 1",
    "sql_patterns": "occurrence_count = occurrence_count + 1",
    "off_topic": "off_topic_count = off_topic_count + 1",
    "model_comparison": "request_count = request_count + 1",
}


def page_of(database: Database, role: str = "") -> str:
    with database.as_role(role) if role else connect(database.conninfo) as connection:
        return make_page(connection).decode()


def plain(page: str) -> str:
    """The text of the page, with single spaces."""
    return " ".join(html.unescape(re.sub("<[^>]*>", " ", page)).split())


def rows(cli: Cli, database: Database, report: str) -> list[dict[str, Any]]:
    printed = cli("report", report, "--format", "json", database=database).out
    found: list[dict[str, Any]] = json.loads(printed, parse_float=Decimal)
    return found


def test_the_headline_figures_are_those_of_the_reports(cli: Cli, built: Database) -> None:
    requests = [row for row in rows(cli, built, "off_topic") if row["day"] in WEEK]
    request_count = sum(row["request_count"] for row in requests)
    failed = sum(
        row["request_count"]
        for row in rows(cli, built, "errors")
        if row["day"] in WEEK and row["error_type"] not in ("none", "cancelled")
    )
    costs = [row["cost_usd"] for row in rows(cli, built, "token_cost") if row["day"] in WEEK]
    cost = sum((cost for cost in costs if cost), Decimal(0))
    ttfb = next(
        row["p95_ms"]
        for row in rows(cli, built, "latency")
        if (row["period"], row["step"]) == ("last_7_complete_days", "ttfb")
    )
    shown = dict(re.findall(r'<div><dt>(.*?)</dt><dd class="big">(.*?)</dd>', page_of(built)))
    assert {name: html.unescape(value) for name, value in shown.items()} == {
        "Cost": text.usd(cost),
        "Chat requests": text.count(request_count),
        "Cost of 1,000 requests": text.usd(cost * 1000 / request_count),
        "First byte, 95 % within": text.ms(float(ttfb)),
        "Failed": text.rate(failed / request_count),
        "Off topic": text.rate(sum(row["off_topic_count"] for row in requests) / request_count),
    }


def test_the_page_answers_what_a_model_cost_and_who_spends_most(cli: Cli, built: Database) -> None:
    page = plain(page_of(built))
    model = "gpt-4o-2024-08-06"
    cost = sum(
        row["cost_usd"] for row in rows(cli, built, "token_cost") if row["day"] in WEEK and row["model"] == model
    )
    assert f"{model} {text.usd(cost, 2)}" in page.split("By model", 1)[1]
    first = rows(cli, built, "user_usage")[0]
    assert str(first["user_id"]) in page.split("Who spends most", 1)[1][:400]


def test_the_meaning_of_a_column_is_its_comment(built: Database) -> None:
    with built.connect() as connection:
        found = connection.execute(
            "select col_description('chat_reports.token_cost'::regclass, attnum) from pg_attribute"
            " where attrelid = 'chat_reports.token_cost'::regclass and attname = 'cost_usd'"
        ).fetchone()
    assert found
    assert " ".join(found[0].split()) in plain(page_of(built))


def test_a_change_in_any_report_changes_the_page(copied: Database) -> None:
    """The reports become tables, so that they can be changed."""
    assert [*CHANGES] == [*REPORTS]
    with copied.connect() as connection:
        for name in REPORTS:
            connection.execute(f"create table chat_reports.copy as select * from chat_reports.{name}")
            connection.execute(f"drop materialized view chat_reports.{name}")
            connection.execute(f"alter table chat_reports.copy rename to {name}")
            connection.execute(f"grant select on chat_reports.{name} to telemetry_reader")
        before = page_of(copied)
        for name, change in CHANGES.items():
            connection.execute(f"update chat_reports.{name} set {change}")
            after = page_of(copied)
            assert after != before, name
            before = after


def test_it_reads_as_telemetry_reader(copied: Database) -> None:
    as_reader = page_of(copied, "telemetry_reader")
    assert as_reader == page_of(copied)
    with copied.connect() as connection:
        connection.execute("revoke select on chat_reports.user_usage from telemetry_reader")
    for role in ("", "telemetry_reader"):
        with pytest.raises(DatabaseFailed, match=r"permission denied for .* user_usage: grant telemetry_reader"):
            page_of(copied, role)


def test_code_in_a_report_cannot_replace_the_function_that_reads_the_next_one(copied: Database) -> None:
    """The login is a superuser, who may use the sequence. telemetry_reader, as which the code has to run, may not."""
    with copied.connect() as connection:
        connection.execute("create sequence public.loot")
        connection.execute("alter materialized view chat_reports.off_topic rename to hidden")
        connection.execute(r"""
            create function chat_reports.code() returns boolean language plpgsql as $code$
            begin
                create or replace function pg_temp.read_report(query pg_catalog.text)
                returns table (total pg_catalog.int8, object pg_catalog.text)
                language plpgsql as $$
                begin
                    execute 'reset role';
                    perform pg_catalog.nextval('public.loot');
                end
                $$;
                return true;
            exception when others then
                return true;
            end
            $code$
        """)
        connection.execute(
            "create view chat_reports.off_topic as select * from chat_reports.hidden where chat_reports.code()"
        )
        connection.execute("grant select on chat_reports.off_topic to telemetry_reader")
        connection.execute("alter view chat_reports.off_topic owner to telemetry_transformer")
        connection.execute("alter function chat_reports.code owner to telemetry_transformer")
        assert "What the models cost" in page_of(copied)
        assert connection.execute("select is_called from public.loot").fetchone() == (False,)


def test_a_report_that_is_replaced_meanwhile_is_read_again(copied: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = page_of(copied)
    reader = reading._Reader
    replaced: list[str] = []

    def replace(self: reading._Reader, *arguments: Any) -> Any:
        if not replaced:
            with copied.connect() as connection:
                definition = connection.execute("select pg_get_viewdef('chat_reports.user_usage'::regclass)").fetchone()
                assert definition
                replaced.append(definition[0])
                connection.execute("drop materialized view chat_reports.user_usage")
                connection.execute(f"create materialized view chat_reports.user_usage as {definition[0]}")
                connection.execute("grant select on chat_reports.user_usage to telemetry_reader")
        return filled(self, *arguments)

    filled = reader._filled
    monkeypatch.setattr(reader, "_filled", replace)
    again = page_of(copied)
    assert replaced
    assert re.sub('<details class="meanings">.*?</details>', "", again, flags=re.DOTALL) == re.sub(
        '<details class="meanings">.*?</details>', "", expected, flags=re.DOTALL
    )


def test_the_file_is_private_and_a_link_and_its_mode_are_kept(cli: Cli, built: Database, tmp_path: Path) -> None:
    outcome = cli("dashboard", database=built)
    file = tmp_path / "dashboard.html"
    assert outcome.code == 0
    assert re.fullmatch(r"wrote dashboard\.html \(\d+ kB\)\n", outcome.err)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = file.read_bytes()
    file.chmod(0o644)
    link = tmp_path / "link.html"
    link.symlink_to(file)
    assert cli("dashboard", "-o", "link.html", "--omit", "sql", database=built).code == 0
    assert link.is_symlink()
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert file.read_bytes() != before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dashboard.html", "link.html"]


def test_if_the_file_cannot_be_written_the_old_one_stays(
    cli: Cli, built: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dashboard.html").write_text("old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", fail)
        outcome = cli("dashboard", database=built)
    assert (outcome.code, outcome.err) == (1, "error: No space left on device\n")
    assert [path.name for path in tmp_path.iterdir()] == ["dashboard.html"]
    assert (tmp_path / "dashboard.html").read_text() == "old"
    missing = cli("dashboard", "-o", "missing/dashboard.html", database=built)
    assert missing.code == 1
    assert re.fullmatch(r"error: /.*/missing: there is no such directory\n", missing.err)
    assert cli("dashboard", "-o", ".", database=built).code == 1


def test_stdout_gets_the_same_page(built: Database, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    from chat_telemetry._cli.app import run  # noqa: PLC0415  # after pytest captured the descriptors

    assert run(["dashboard", "-o", "-", "--database-url", built.conninfo]) == 0
    captured = capfdbinary.readouterr()
    assert (captured.out.decode(), captured.err) == (page_of(built), b"")


@pytest.mark.parametrize(
    "arguments",
    [["--days", "13"], ["--days", "93"], ["--omit", "people"], ["-o", "-", "--open"], ["dashboard.html"]],
)
def test_wrong_arguments_are_usage_errors_of_one_line(cli: Cli, arguments: list[str], built: Database) -> None:
    outcome = cli("dashboard", *arguments, database=built)
    assert outcome.code == 2
    assert len(outcome.err.splitlines()) == 1


def test_the_charts_show_as_many_days_as_asked_for(cli: Cli, built: Database, tmp_path: Path) -> None:
    cli("dashboard", "--days", "14", database=built)
    page = (tmp_path / "dashboard.html").read_text(encoding="utf-8")
    assert "Cost of each of the last 14 days" in page
    assert not re.search(r"\b9 Nov", plain(page).split("By model")[0])


def test_open_shows_the_file_in_a_browser(
    cli: Cli, built: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def note(url: str) -> bool:
        opened.append(url)
        return True

    monkeypatch.setattr("webbrowser.open", note)
    assert cli("dashboard", "--open", database=built).code == 0
    assert opened == [(tmp_path / "dashboard.html").as_uri()]
    monkeypatch.setattr("webbrowser.open", lambda url: False)
    assert f"no browser was found: open {tmp_path / 'dashboard.html'}" in cli("dashboard", "--open", database=built).err


def test_reports_that_are_not_built_are_a_requirement(cli: Cli, database: Database, empty_database: Database) -> None:
    for each in (database, empty_database):
        outcome = cli("dashboard", database=each)
        assert outcome.code == 4
        assert "run `chat-telemetry migrate`, then `chat-telemetry run`" in outcome.err
        assert len(outcome.err.splitlines()) == 1


def test_a_report_with_other_columns_is_one_line(cli: Cli, copied: Database) -> None:
    with copied.connect() as connection:
        connection.execute("alter materialized view chat_reports.sql_patterns rename column error_count to failures")
    outcome = cli("dashboard", database=copied)
    assert (outcome.code, len(outcome.err.splitlines())) == (4, 1)
    with copied.connect() as connection:
        connection.execute("alter materialized view chat_reports.sql_patterns rename column failures to error_count")
        connection.execute("drop materialized view chat_reports.user_usage")
        connection.execute(
            "create view chat_reports.user_usage as select 'x'::text as user_id, 'x'::text as request_count,"
            " 1 as active_days, 1 as error_count, 1 as off_topic_count, 1 as input_tokens, 1 as output_tokens,"
            " 1.0 as cost_usd, 0 as unpriced_call_count, current_date as last_active_on"
        )
        connection.execute("grant select on chat_reports.user_usage to telemetry_reader")
    outcome = cli("dashboard", database=copied)
    assert outcome.code == 4
    assert outcome.err.startswith("error: a report is not that of this version (Expected `int`, got `str`")


def test_an_empty_log_is_a_page_that_says_so(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> None:
    with copy_of(postgres, template_with_prices(postgres)) as database:
        DbtProject(database, tmp_path_factory.mktemp("dbt")).run("run", report_as_of=str(AS_OF))
        assert "No chat requests yet." in page_of(database)


def test_days_are_those_of_the_report_time_zone(copied: Database) -> None:
    with copied.connect() as connection:
        connection.execute(
            "update chat_rollups.report_state set report_timezone = 'Pacific/Kiritimati',"
            " refreshed_at = '2026-11-23 12:30:00+00'"
        )
    with connect(copied.conninfo) as connection:
        days = read_reports(connection, 30).days
    assert days
    assert days.is_over  # it is 02:30 on the next day there
    page = plain(page_of(copied))
    assert "Refreshed on 24 Nov 2026, 02:30 (Pacific/Kiritimati)" in page


def test_the_alerts_of_the_last_run_are_read_and_nothing_else_of_its_schema(copied: Database) -> None:
    with copied.connect() as connection:
        connection.execute(
            "insert into chat_rollups.alerts (alert, subject, value, bound, began_at)"
            " values ('usd_per_day', '2026-11-22', 61.20, 50, '2026-11-22 18:00:00+00')"
        )
    assert "usd_per_day 2026-11-22: 61.2 is over the bound 50, since 22 Nov 2026, 18:00" in plain(page_of(copied))
    with copied.as_role("telemetry_reader") as reader, pytest.raises(psycopg.errors.InsufficientPrivilege):
        reader.execute(sql.SQL("select from chat_rollups.alerts"))
