from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SMALL = {
    "calls": 20,
    "rounds": 2,
    "records": 300,
    "repetitions": 1,
    "heartbeat-seconds": 0.2,
    "outage-seconds": 0.5,
}


def test_the_benchmark_of_the_loader_measures_everything_but_the_peers(tmp_path: Path) -> None:
    sizes = [word for option, size in SMALL.items() for word in (f"--{option}", str(size))]
    output = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks.loader", *sizes, "--output", str(output)]
    tables = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=240).stdout
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
    assert tables.count("\n### ") + tables.startswith("###") == 8
