"""What other dbt projects and analysts see of the project: who may ref a model, what reads the reports, selectors."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from chat_telemetry._cli.sql_project import project_directory
from tests.conftest import SERVERS
from tests.dbt_project import NO_TESTS, DbtProject, manifest
from tests.reports.contract import COLUMNS
from tests.reports.scenes import AS_OF, assert_exact, execute, value

# Most of the time goes into dbt, so one server is enough.
pytestmark = pytest.mark.parametrize("postgres", SERVERS[-1:], indirect=True, scope="session")

# Every alert has a bound, because dbt does not list an alert without one.
BOUNDS: dict[str, Any] = {
    path.stem: 1 for path in (project_directory() / "tests" / "dbt" / "alerts").glob("alert_*.sql")
}
OWN_PRICES = """
insert into chat_rollups.own_prices (model, valid_from, input_usd_per_mtok, output_usd_per_mtok, source)
select distinct model, date '2020-01-01', 1000, 1000, 'test' from chat_reports.token_cost where price_match = 'exact'
"""
SELECTORS = yaml.safe_load((project_directory() / "selectors.yml").read_text(encoding="utf-8"))["selectors"]


def listed(project: DbtProject, selector: str) -> set[str]:
    """The nodes that `dbt ls --selector SELECTOR` names, without the project and the folder."""
    names = project.run("ls", "--selector", selector, "--output", "name", **BOUNDS).result
    assert isinstance(names, list)
    return set(names)


def test_the_reports_are_public_and_the_rest_is_protected(project: DbtProject) -> None:
    parsed = manifest(project.run("parse", **BOUNDS))
    models = [node for node in parsed.nodes.values() if node.resource_type == "model"]
    assert {model.name for model in models if model.access == "public"} == {*COLUMNS}
    assert {model.access for model in models if model.name not in COLUMNS} == {"protected"}
    assert {model.group for model in models} == {group.name for group in parsed.groups.values()} == {"chat_telemetry"}


def test_the_exposures_depend_on_what_they_read(project: DbtProject) -> None:
    parsed = manifest(project.run("parse", **BOUNDS))
    reports = {f"model.chat_telemetry.{report}" for report in COLUMNS}
    alerts = [node for node in parsed.nodes.values() if "alert" in node.tags]
    read = {exposure.name: {*exposure.depends_on.nodes} for exposure in parsed.exposures.values()}
    assert read.pop("chat_telemetry_alerts") == {name for alert in alerts for name in alert.depends_on.nodes}
    assert len(read) == 3
    assert all(nodes == reports for nodes in read.values())


def test_each_selector_selects_what_its_description_says(project: DbtProject) -> None:
    models = {model.name: model for model in manifest(project.run("parse", **BOUNDS)).nodes.values()}
    found = {selector["name"]: listed(project, selector["name"]) for selector in SELECTORS}
    assert {*COLUMNS, "in_range_token_cost_1__call_count"} <= found["reports"]
    assert found["rollups"] & {*COLUMNS} == set()
    assert {name for name, node in models.items() if node.fqn[1] == "rollups"} <= found["rollups"] | found["reports"]
    assert {"token_prices", "model_aliases", "price_periods", "token_cost"} <= found["prices"]
    assert "latency" not in found["prices"]
    assert found["reconcile"] == {name for name, node in models.items() if "reconcile" in node.tags}
    assert found["alerts"] == {*BOUNDS}


def test_the_prices_alone_can_be_applied(ours: DbtProject) -> None:
    cost = "select sum(cost_usd) from chat_reports.token_cost"
    before = value(ours, cost)
    execute(ours, OWN_PRICES)
    ours.run("build", "--selector", "prices", *NO_TESTS, report_as_of=AS_OF)
    assert value(ours, cost) > before
    assert_exact(ours)
