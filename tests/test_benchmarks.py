from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.fingerprint import TEXTS as SQL_TEXTS
from benchmarks.shapes import TEXTS

ROOT = Path(__file__).parents[1]
SMALL = {
    "calls": 20,
    "rounds": 2,
    "records": 300,
    "repetitions": 1,
    "heartbeat-seconds": 0.2,
    "outage-seconds": 0.5,
}
SMALL_LOG = ["--rows", "2000", "--late-rows", "1000"]


@pytest.fixture
def measured(tmp_path: Path) -> Callable[..., tuple[str, dict[str, Any]]]:
    """Runs the benchmark of the reports on a small log. Returns the tables that it prints, and its figures."""

    def measure(*options: str) -> tuple[str, dict[str, Any]]:
        output = tmp_path / "figures.json"
        command = [sys.executable, "-m", "benchmarks.reports", *options, *SMALL_LOG, "--output", str(output)]
        tables = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        return tables, json.loads(output.read_text())

    return measure


def test_the_loader_benchmark_measures_everything_except_the_peers(tmp_path: Path) -> None:
    sizes = [word for option, size in SMALL.items() for word in (f"--{option}", str(size))]
    output = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks.loader", *sizes, "--output", str(output)]
    tables = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=800).stdout
    figures = json.loads(output.read_text())
    for name in ("calls_up", "calls_down"):
        assert all(len(found["p50_us"]) == 2 and min(found["p50_us"]) > 0 for found in figures[name].values())
    assert {way: len(runs) for way, runs in figures["delivery"].items()} == {
        "memory": 1,
        "journal": 1,
        "executemany": 1,
        "copy": 1,
    }
    assert figures["outage"]["memory"]["dropped"] == 0
    assert all(costs["observed_us"] > 0 < costs["package_us"] for costs in figures["streams"].values())
    assert tables.count("\n### ") + tables.startswith("###") == 9


def test_the_shapes_benchmark_prints_a_row_for_each_text_and_the_cost_of_the_fingerprint() -> None:
    command = [sys.executable, "-m", "benchmarks.shapes", "--characters", "800", "--repetitions", "1"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    shapes, fingerprints = printed.split("### Cost of the fingerprint trigger")
    title, _, header, _, *rows = shapes.splitlines()
    assert title == "### Time of a shape by the length of its text"
    assert "200 (ms) | 400 (ms) | 800 (ms)" in header
    assert [row.split("|")[1].strip() for row in rows if row] == [*TEXTS]
    _, _, *costs = [row.split("|")[1:-1] for row in fingerprints.splitlines() if row]
    assert [name.strip() for name, *_ in costs] == [*SQL_TEXTS]
    assert all(float(peer) > 0 for _, _, peer, _ in costs)


def test_the_benchmark_of_the_resident_run_compares_it_with_a_fresh_one() -> None:
    command = [sys.executable, "-m", "benchmarks.resident", "--cycles", "2", "--fresh", "1"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in printed.splitlines() if row.startswith("|")]
    ratios = {row[0]: row[-1] for row in cells if len(row) == 4}
    assert 0 < float(ratios["kept dbt"].split()[0]) < 1
    assert ["2", cells[-4][1]] in cells
    assert printed.count("### ") == 3


@pytest.mark.timeout(1800)
def test_the_reports_benchmark_finds_the_same_rows_in_plain_views(
    measured: Callable[..., tuple[str, dict[str, Any]]],
) -> None:
    tables, figures = measured("--only", "costs", "--repetitions", "0", "--plain-repetitions", "0")
    assert figures["costs"]["differing_reports"] == {"rows_2000": []}
    assert figures["costs"]["sizes"]["rows_2000"]["chat_reports.user_usage"]["rows"] > 500
    assert "the same rows in both" in tables


@pytest.mark.timeout(1800)
def test_the_reports_benchmark_runs_two_versions_on_the_same_rows(
    measured: Callable[..., tuple[str, dict[str, Any]]],
) -> None:
    tables, figures = measured("--only", "before", "--before", str(ROOT), "--repetitions", "1")
    (measured_costs,) = figures["before"].values()
    assert measured_costs["differing_reports"] == []
    assert [*measured_costs["costs"]] == [
        "first run",
        "nothing new",
        "1,000 new rows",
        "an erased user",
        "1,000 late rows",
    ]
    assert all(len(runs["before"]) == len(runs["now"]) == 1 for runs in measured_costs["costs"].values())
    for sizes in measured_costs["bytes"].values():
        before, now = sum(sizes["before"].values()), sum(sizes["now"].values())
        assert now == pytest.approx(before, rel=0.1)
    assert tables.count("### ") == 3
