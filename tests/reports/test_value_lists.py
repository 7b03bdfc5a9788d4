"""Periods, measured steps and grains are the same wherever they are written; tests/lists.py compares the rest."""

from __future__ import annotations

import re
from typing import Any

import jinja2
import yaml

from chat_telemetry._cli.report import REPORTS
from chat_telemetry._cli.sql_project import project_directory
from tests.conftest import Database
from tests.reports.contract import COLUMNS, GRAIN, MEASURES

PROJECT = project_directory()


def returned_by(macro: str) -> dict[str, Any]:
    """The dictionary that a macro without arguments returns."""
    (path,) = (PROJECT / "macros").rglob(f"{macro}.sql")
    returned: list[dict[str, Any]] = []
    environment = jinja2.Environment(autoescape=False)  # noqa: S701 - no HTML
    environment.globals["return"] = returned.append
    getattr(environment.from_string(path.read_text(encoding="utf-8")).module, macro)()
    (found,) = returned
    return found


def described(folder: str, model: str) -> dict[str, dict[str, Any]]:
    """The columns of a model by name, as its yml describes them."""
    path = PROJECT / "models" / folder / f"{model}.yml"
    (found,) = yaml.safe_load(path.read_text(encoding="utf-8"))["models"]
    return {column["name"]: column for column in found["columns"]}


def accepted(report: str, column: str) -> list[str]:
    """The values that the data test `accepted_values` of a column accepts."""
    tests = described("reports", report)[column]["data_tests"]
    (values,) = [
        test["accepted_values"]["arguments"]["values"]
        for test in tests
        if isinstance(test, dict) and "accepted_values" in test
    ]
    return list(values)


def sorted_by(report: str) -> set[str]:
    """The values by which the command line sorts a report."""
    return set(re.findall(r"'(\w+)'", REPORTS[report].order_by))


def test_the_command_line_shows_columns_that_the_reports_have() -> None:
    for name, columns in COLUMNS.items():
        assert set(REPORTS[name].narrow_columns) <= set(columns)


def test_each_list_of_periods_has_the_periods_of_the_macro() -> None:
    periods = list(returned_by("report_periods"))
    assert [name for name in described("rollups", "window_durations") if name.endswith("_days")] == periods
    assert accepted("latency", "period") == ["day", *periods]
    assert accepted("model_comparison", "period") == periods
    assert sorted_by("model_comparison") == set(periods)
    assert sorted_by("latency") - set(returned_by("latency_steps")) == {"day", *periods}
    page = (PROJECT / "docs" / "reports.md").read_text(encoding="utf-8")
    assert [period for period in periods if f"`{period}`" not in page] == []


def test_each_list_of_measured_steps_has_the_steps_of_the_macro(database: Database) -> None:
    steps = returned_by("latency_steps")
    with database.connect() as connection:
        labels = connection.execute("select label from chat_rollups.labels where id > 0 order by id").fetchall()
        assert [label for (label,) in labels[: len(steps)]] == list(steps)
        assert labels[len(steps) :] == [("cancelled",)]
    assert accepted("latency", "step") == list(steps)
    assert set(steps) <= sorted_by("latency")
    numbers = f"Id of a label: {', '.join(f'{number} {step}' for number, step in enumerate(steps, 1))}."
    for rollup in ("daily_durations", "window_durations", "daily_latency"):
        assert described("rollups", rollup)["step"]["description"] == numbers
    compared = [f"{kind}_{step}_ms" for step in steps for kind in ("avg", "p95")]
    assert [name for name in MEASURES["model_comparison"] if name.endswith("_ms")] == compared


def test_each_report_has_a_data_test_for_its_grain_and_an_index() -> None:
    for name, grain in GRAIN.items():
        path = PROJECT / "models" / "reports" / f"{name}.yml"
        (model,) = yaml.safe_load(path.read_text(encoding="utf-8"))["models"]
        (index,) = model["config"]["indexes"]
        assert (index["columns"], index["unique"]) == (grain, True)
        grains = [
            test["unique_grain"]["arguments"]["columns"]
            for test in model.get("data_tests", [])
            if "unique_grain" in test
        ]
        assert grains == [grain] or "unique" in described("reports", name)[grain[0]]["data_tests"]
