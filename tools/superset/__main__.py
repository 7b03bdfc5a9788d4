"""`python -m tools.superset`: import bi/superset into a real Superset and compare its charts with SQL.

    python -m tools.superset --superset VENV [--screenshot FILE] [--requests N]

VENV is a virtual environment with tools/superset/requirements.txt. A demo database is filled for the comparison, and
deleted at the end. Exits with 1 and one line for each difference between what Superset shows and what SQL shows.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg

from tools.superset import browser, bundle, demo, server
from tools.superset.charts import CHARTS
from tools.superset.client import Client, Refused
from tools.superset.comparison import differences
from tools.superset.datasets import DATABASE_FILE
from tools.superset.datasets_check import differing_datasets
from tools.superset.expected import SERIES, SHAPES, Row, as_series, expected_rows

NAMES = {chart.title: chart.name for chart in CHARTS}
DASHBOARD = "/superset/dashboard/chat-telemetry/"
FAILURES = (browser.NotShown, demo.DemoFailed, server.NotStarted, Refused)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--superset", type=Path, required=True, metavar="VENV", help="where Superset is installed")
    parser.add_argument("--screenshot", type=Path, metavar="FILE", help="write a picture of the dashboard")
    parser.add_argument("--requests", type=int, default=5000, help="chat requests in the demo (default: 5000)")
    parser.add_argument("--root", type=Path, default=bundle.ROOT, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if not (options.superset / "bin/superset").exists():
        parser.error(f"there is no Superset in {options.superset}: install tools/superset/requirements.txt into it")
    try:
        found = compare(options)
    except FAILURES as failure:
        found = [str(failure)]
    sys.stderr.writelines(f"{line}\n" for line in found)
    return 1 if found else 0


def compare(options: argparse.Namespace) -> list[str]:
    """The differences, of the datasets and of each chart in the API and in the browser."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        home = directory / "superset"
        home.mkdir()
        with stage("demo database filled"):
            database = stack.enter_context(demo.filled(directory / "demo", options.requests))
        with stage("Superset started"):
            superset = stack.enter_context(server.running(options.superset, home))
        connection = stack.enter_context(psycopg.connect(database.conninfo, autocommit=True))
        client = Client(superset)
        with stage("bundle imported twice"):
            import_twice(client, database, bundle.current(options.root / bundle.DIRECTORY))
        numbers = {entry["id"]: NAMES.get(entry["slice_name"], "") for entry in client.list("chart")}
        with stage("datasets compared"):
            found = list(differing_datasets(client, connection))
        with stage("charts of the API compared"):
            found += differing_charts("API", connection, by_api(client, numbers))
        with stage("charts of the browser compared"):
            shown = browser.show(client, DASHBOARD, len(numbers), options.screenshot)
            found += differing_charts("browser", connection, {numbers[id_]: rows for id_, rows in shown.items()})
        return found


def import_twice(client: Client, database: demo.Demo, texts: Mapping[str, str]) -> None:
    """As the button "Import dashboards" does it, then as a script does it that replaces everything."""
    content = bundle.zipped(bundle.with_uri(texts, database.uri))
    passwords = json.dumps({DATABASE_FILE: database.password})
    client.upload("/api/v1/dashboard/import/", "formData", content, passwords=passwords, overwrite="true")
    client.upload("/api/v1/assets/import/", "bundle", content, passwords=passwords)


def by_api(client: Client, numbers: Mapping[int, str]) -> dict[str, list[Row]]:
    """The rows of each chart for the query in the bundle, which alerts and the API use."""
    shown = {}
    for id_, name in numbers.items():
        query_context = json.loads(client.get(f"/api/v1/chart/{id_}")["result"]["query_context"])
        shown[name] = client.post("/api/v1/chart/data", query_context)["result"][0]["data"]
    return shown


def differing_charts(source: str, connection: psycopg.Connection[Any], shown: Mapping[str, list[Row]]) -> Iterator[str]:
    for name, shape in SHAPES.items():
        place = f"{source}: {name}"
        if name not in shown:
            yield f"{place}: the chart is missing"
            continue
        rows = as_series(shown[name], shape.key[0]) if shape == SERIES else shown[name]
        yield from differences(place, shape, expected_rows(connection, name), rows)


@contextmanager
def stage(name: str) -> Iterator[None]:
    begin = time.monotonic()
    yield
    sys.stdout.write(f"{name} ({time.monotonic() - begin:.1f} s)\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
