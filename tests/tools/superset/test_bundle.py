"""bi/superset is what its tool writes today, and its metrics add only what may be added."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.descriptions import DescriptionMissing, resolved
from tools.superset.bundle import DIRECTORY, bundle, current, main
from tools.superset.charts import CHARTS
from tools.superset.dashboard import ROWS
from tools.superset.expected import DIRECTORY as EXPECTED
from tools.superset.expected import SHAPES
from tools.superset.metrics import METRICS
from tools.superset.relations import read_relations

ROOT = Path(__file__).parents[3]
NAMES = {chart.name for chart in CHARTS}


def test_the_files_are_current() -> None:
    assert main(["--check"]) == 0


def test_a_changed_description_is_seen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in ("models", "migrations"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    (tmp_path / DIRECTORY).mkdir(parents=True)
    assert main(["--root", str(tmp_path)]) == 0
    assert current(tmp_path / DIRECTORY) == bundle(ROOT)
    file = tmp_path / DIRECTORY / "datasets/chat_telemetry/errors.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("never sum it", "sum it"), encoding="utf-8")
    (tmp_path / DIRECTORY / "charts/of_yesterday.yaml").touch()
    assert main(["--root", str(tmp_path), "--check"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"{DIRECTORY}/charts/of_yesterday.yaml would change",
        f"{DIRECTORY}/datasets/chat_telemetry/errors.yaml would change",
    ]
    assert main(["--root", str(tmp_path)]) == 0
    assert current(tmp_path / DIRECTORY) == bundle(ROOT)


def test_a_docs_block_that_is_missing_is_named() -> None:
    with pytest.raises(DescriptionMissing, match="'day'"):
        resolved("{{ doc('day') }}", {})


def test_metrics_are_of_relations_and_each_column_has_a_description() -> None:
    relations = read_relations(ROOT)
    assert {relation.name for relation in relations} >= METRICS.keys()
    assert all(column.description and "{{" not in column.description for one in relations for column in one.columns)


@pytest.mark.parametrize("relation", ["latency", "model_comparison"])
def test_no_metric_adds_over_periods(relation: str) -> None:
    guards = ("CASE WHEN COUNT(*) = 1 THEN", "CASE WHEN COUNT(DISTINCT period) = 1 THEN")
    assert all(metric.expression.startswith(guards) for metric in METRICS[relation])


def test_no_metric_adds_what_its_relation_forbids() -> None:
    expressions = " ".join(metric.expression for metrics in METRICS.values() for metric in metrics)
    for column in ("day_request_count", "share_of_requests", "active_days", "error_rate", "off_topic_rate"):
        assert f"({column})" not in expressions


def test_each_chart_is_on_the_dashboard_and_has_its_sql() -> None:
    assert [name for _, charts in ROWS for name, _ in charts] == [chart.name for chart in CHARTS]
    assert NAMES == SHAPES.keys() == {file.stem for file in EXPECTED.glob("*.sql")}


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)
def test_a_chart_asks_for_columns_and_metrics_of_its_dataset(chart: Any) -> None:
    dataset = yaml.safe_load(bundle(ROOT)[f"datasets/chat_telemetry/{chart.dataset}.yaml"])
    [query] = json.loads(chart.config()["query_context"])["queries"]
    asked = {column if isinstance(column, str) else column["label"] for column in query["columns"]}
    asked |= {condition["col"] for condition in query["filters"]}
    assert asked <= {column["column_name"] for column in dataset["columns"]}
    assert set(query.get("metrics", ())) <= {metric["metric_name"] for metric in dataset["metrics"]}


def test_there_is_no_password_in_the_bundle() -> None:
    database = yaml.safe_load(bundle(ROOT)["databases/chat_telemetry.yaml"])
    assert ":XXXXXXXXXX@" in database["sqlalchemy_uri"]
    assert "sslmode=verify-full" in database["sqlalchemy_uri"]
    assert "password" not in database
