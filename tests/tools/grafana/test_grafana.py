"""The files of bi/grafana: current, well formed, and with SQL that telemetry_reader may run. No Grafana runs here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from psycopg.rows import dict_row

from tests.cli.dashboard.conftest import AS_OF, built
from tests.conftest import Database
from tools.grafana.__main__ import FILE, main
from tools.grafana.dashboard import WIDTH, dashboard

__all__ = ["built"]  # a fixture

ROOT = Path(__file__).parents[3]
DIRECTORY = ROOT / "bi" / "grafana"
DASHBOARD: dict[str, Any] = json.loads((ROOT / FILE).read_text(encoding="utf-8"))
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
STATS = [panel for panel in PANELS if panel["type"] == "stat"]
PROVISIONING = sorted((DIRECTORY / "provisioning").glob("*/*.yaml"))
# The range of a picker that does not stop at midnight, and holds all days of the fixture.
FROM, TO = (datetime(2026, month, 23, 13, 30, 15, 123456, tzinfo=UTC) for month in (10, 11))
MACRO = re.compile(r"\$([_a-zA-Z0-9]+)\(([^)]*)\)")
NUMERIC = {"int2", "int4", "int8", "float4", "float8", "numeric"}
TIMES = {"timestamp", "timestamptz"}


def expanded(sql: str, begin: datetime = FROM, end: datetime = TO) -> str:
    """The text that Grafana's data source for PostgreSQL sends: its macros are textual, and times are in UTC."""
    first, last = (f"'{time.isoformat().replace('+00:00', 'Z')}'" for time in (begin, end))

    def replacement(match: re.Match[str]) -> str:
        column = match[2].split(",")[0].strip()
        macros = {"__timeFrom": first, "__timeTo": last, "__timeFilter": f"{column} BETWEEN {first} AND {last}"}
        return macros[match[1]]

    return MACRO.sub(replacement, sql)


def rule_targets() -> Iterator[tuple[str, dict[str, Any]]]:
    for group in yaml.safe_load((DIRECTORY / "provisioning/alerting/chat_telemetry.yaml").read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["title"], rule["data"][0]["model"]


TARGETS = [(panel["title"], target) for panel in PANELS for target in panel["targets"]]
RULES = list(rule_targets())
SERIES = [(title, target) for title, target in TARGETS if target["format"] == "time_series"]


def answer(database: Database, sql: str) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """The types of the columns, and the rows."""
    with closing(database.as_role("telemetry_reader")) as connection:
        cursor = connection.cursor(row_factory=dict_row).execute(sql)
        columns = {column.name: connection.adapters.types[column.type_code].name for column in cursor.description or []}
        return columns, cursor.fetchall()


def queried(database: Database, target: dict[str, Any]) -> tuple[dict[str, str], list[dict[str, Any]]]:
    return answer(database, expanded(target["rawSql"]))


def test_the_file_is_current() -> None:
    assert main(["--check"]) == 0
    assert dashboard(ROOT) == DASHBOARD


def test_a_changed_query_is_seen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    queries = tmp_path / "bi" / "queries"
    queries.mkdir(parents=True)
    for file in (ROOT / "bi" / "queries").glob("*.sql"):
        (queries / file.name).write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / FILE).parent.mkdir(parents=True)
    arguments = ["--root", str(tmp_path)]
    assert main([*arguments, "--check"]) == 1
    assert main(arguments) == 0
    assert (tmp_path / FILE).read_bytes() == (ROOT / FILE).read_bytes()
    (queries / "top_users.sql").write_text("-- Changed.\nselect 1;\n", encoding="utf-8")
    capsys.readouterr()
    assert main([*arguments, "--check"]) == 1
    assert capsys.readouterr().err == f"{FILE} would change: run python -m tools.grafana\n"


def test_statistics_and_tables_have_the_text_of_the_queries() -> None:
    for kind, names in {"stat": ["headlines"] * 6, "table": ["cost_by_model", "top_users", "sql_shapes"]}.items():
        shown = [panel["targets"][0]["rawSql"] for panel in PANELS if panel["type"] == kind]
        for name, sql in zip(names, shown, strict=False):
            text = (ROOT / "bi" / "queries" / f"{name}.sql").read_text(encoding="utf-8")
            assert text.strip().removesuffix(";") in sql


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS) == 18
    for one, other in combinations([panel["gridPos"] for panel in PANELS], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= WIDTH for panel in PANELS)


def test_the_data_source_is_a_variable() -> None:
    (variable,) = DASHBOARD["templating"]["list"]
    source = {"type": variable["query"], "uid": f"${{{variable['name']}}}"}
    assert (variable["type"], variable["current"]) == ("datasource", {})
    assert all(panel["datasource"] == source for panel in PANELS)
    assert all(target["datasource"] == source for _, target in TARGETS)
    assert set(re.findall(r'"uid": "([^"]*)"', json.dumps(DASHBOARD))) == {DASHBOARD["uid"], source["uid"]}


def test_grafana_replaces_nothing_else_in_the_sql() -> None:
    """Grafana takes $name, ${name} and [[name]] in SQL for variables."""
    for _, target in TARGETS:
        assert not re.search(r"\$|\[\[", MACRO.sub("", target["rawSql"]))
    assert not any(re.search(r"\$|\[\[", target["rawSql"]) for _, target in RULES)


@pytest.mark.parametrize(("title", "target"), TARGETS, ids=[title for title, _ in TARGETS])
def test_the_reader_gets_what_the_panel_shows(built: Database, title: str, target: dict[str, Any]) -> None:
    columns, rows = queried(built, target)
    assert rows or title == "Open alerts"
    if target["format"] == "time_series":
        assert columns["time"] in TIMES
        assert columns.keys() - {"time"}
        assert {kind for name, kind in columns.items() if name not in ("time", "metric")} <= NUMERIC
        assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)
        assert len({(row["time"], row.get("metric")) for row in rows}) == len(rows)


@pytest.mark.parametrize("panel", STATS, ids=lambda panel: panel["title"])
def test_a_statistic_is_one_row_of_numbers(built: Database, panel: dict[str, Any]) -> None:
    columns, rows = queried(built, panel["targets"][0])
    assert len(rows) == 1
    assert set(columns.values()) <= NUMERIC
    assert all(value is not None for value in rows[0].values())


def test_statistics_are_those_of_the_headlines(built: Database) -> None:
    text = (ROOT / "bi" / "queries" / "headlines.sql").read_text(encoding="utf-8")
    _, (last, before) = answer(built, text)
    for panel in STATS:
        _, (row,) = queried(built, panel["targets"][0])
        (column,) = row.keys() - {"change"}
        assert row[column] == last[column]
        if "change" in row:
            assert row["change"] == pytest.approx(float(last[column]) / float(before[column]) - 1)


@pytest.mark.parametrize(("title", "target"), SERIES, ids=[title for title, _ in SERIES])
def test_a_range_takes_whole_days(built: Database, title: str, target: dict[str, Any]) -> None:
    """The filter compares dates: the days on which the range begins and ends are in it, whatever the time of day."""
    _, rows = queried(built, target)
    days = sorted({row["time"] for row in rows})
    begin, end = (day.replace(tzinfo=UTC) + timedelta(hours=13) for day in (days[1], days[-2]))
    _, inside = answer(built, expanded(target["rawSql"], begin, end))
    assert sorted({row["time"] for row in inside}) == days[1:-1], title


def test_the_range_of_the_dashboard_ends_with_the_last_day(built: Database) -> None:
    sql = next(target["rawSql"] for title, target in TARGETS if title == "Off-topic rate by day")
    end = datetime.combine(AS_OF, datetime.max.time(), tzinfo=UTC)
    _, rows = answer(built, expanded(sql, end - timedelta(days=29), end))
    assert rows[-1]["time"].date() == AS_OF


@pytest.mark.parametrize(("title", "target"), RULES, ids=[title for title, _ in RULES])
def test_a_rule_asks_for_one_number(built: Database, title: str, target: dict[str, Any]) -> None:
    columns, rows = queried(built, target)
    assert len(columns) == len(rows) == 1, title
    assert set(columns.values()) <= NUMERIC
    assert next(iter(rows[0].values())) is not None


def test_the_rules_use_the_data_source_and_a_threshold() -> None:
    source = yaml.safe_load((DIRECTORY / "provisioning/datasources/chat_telemetry.yaml").read_text())["datasources"][0]
    groups = yaml.safe_load((DIRECTORY / "provisioning/alerting/chat_telemetry.yaml").read_text())["groups"]
    for rule in (rule for group in groups for rule in group["rules"]):
        query, threshold = rule["data"]
        assert re.fullmatch(r"[\w-]{1,40}", rule["uid"])
        assert query["datasourceUid"] == source["uid"]
        assert threshold["datasourceUid"] == "__expr__"
        assert (rule["condition"], threshold["model"]["expression"]) == (threshold["refId"], query["refId"])
        assert all(part["model"]["refId"] == part["refId"] for part in rule["data"])


@pytest.mark.parametrize("file", PROVISIONING, ids=lambda file: file.parent.name)
def test_provisioning_is_yaml_that_says_that_it_was_not_run(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert yaml.safe_load(text)["apiVersion"] == 1
    assert "Not run here, validated only" in text


def test_the_data_source_has_no_password_and_takes_settings_from_the_environment() -> None:
    (source,) = yaml.safe_load((DIRECTORY / "provisioning/datasources/chat_telemetry.yaml").read_text())["datasources"]
    settings = source["jsonData"]
    assert (source["type"], source["user"], settings["sslmode"]) == (
        DASHBOARD["templating"]["list"][0]["query"],
        "telemetry_reader",
        "verify-full",
    )
    from_environment = [source["url"], *source["secureJsonData"].values()]
    from_environment += [settings["database"], settings["sslRootCertFile"]]
    # Grafana expands the value of ${NAME} again.
    assert all(re.fullmatch(r"\$CHAT_TELEMETRY_GRAFANA_[A-Z]+", value) for value in from_environment)
    page = (DIRECTORY / "README.md").read_text(encoding="utf-8")
    assert all(value[1:] in page for value in from_environment)


def test_the_folder_is_not_named_like_the_dashboard() -> None:
    (provider,) = yaml.safe_load((DIRECTORY / "provisioning/dashboards/chat_telemetry.yaml").read_text())["providers"]
    assert provider["folder"] != DASHBOARD["title"]
    assert f":{provider['options']['path']}" in (DIRECTORY / "README.md").read_text(encoding="utf-8")
