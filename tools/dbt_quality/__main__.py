"""`make dbt-quality`: print what dbt-score, dbt-bouncer and dbt-coverage say about the dbt project.

Exits with 1 if a tool cannot run, or if a column of a report has no description or no data test. The scores fail
nothing. The argument is a folder that has the tools in `bin` and the manifest of `dbt parse` in `target`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.reports.contract import COLUMNS

CHECKS = Path(__file__).with_name("dbt-bouncer.yml")
LACKS = {"doc": "description", "test": "data test"}


class ToolFailed(Exception):
    """A tool wrote no result; the message is what it printed."""


def main() -> int:
    folder = Path(sys.argv[1]).resolve()
    try:
        sys.stdout.writelines([*score(folder), *checks(folder)])
        write_catalog(folder / "target")
        coverage = {kind: measure(folder, kind) for kind in LACKS}
    except ToolFailed as error:
        sys.stderr.write(f"{error}\n")
        return 1
    missing = [
        f"{report}.{column} has no {LACKS[kind]}\n"
        for kind, tables in coverage.items()
        for report, columns in tables.items()
        for column in columns
        if report in COLUMNS and not columns[column]
    ]
    sys.stdout.writelines([*summary(coverage), *missing])
    return 1 if missing else 0


def score(folder: Path) -> Iterator[str]:
    """The score of dbt-score, and how often which of its rules is broken."""
    printed = run(folder, "dbt-score", "lint", "--manifest", "target/manifest.json", "--format", "json")
    try:
        found = json.loads(printed)
    except ValueError as error:
        raise ToolFailed(printed) from error
    yield f"dbt-score: {found['project']['score']:.2f} of 10\n"
    results = [result for item in found["evaluables"].values() for result in item["results"].items()]
    broken = Counter(rule.rpartition(".")[2] for rule, result in results if result["result"] != "OK")
    yield from (f"    {count} times not {rule}\n" for rule, count in broken.most_common())


def checks(folder: Path) -> Iterator[str]:
    """How many checks of dbt-bouncer.yml pass, and which do not."""
    arguments = ["--config-file", str(CHECKS), "--output-format", "json", "--output-file", "checks.json"]
    found = result_of(folder, "checks.json", "dbt-bouncer", "run", *arguments)
    failed = [check for check in found if check["outcome"] != "success"]
    yield f"dbt-bouncer: {len(found) - len(failed)} of {len(found)} checks pass\n"
    yield from (f"    {check['check_run_id']}: {check['failure_message']}\n" for check in failed)


def measure(folder: Path, kind: str) -> dict[str, dict[str, bool]]:
    """By model or seed and column, whether dbt-coverage finds a description or a test."""
    found = result_of(folder, f"{kind}.json", "dbt-coverage", "compute", kind, "--cov-report", f"{kind}.json")
    return {
        table["name"].rpartition(".")[2]: {column["name"]: column["covered"] > 0 for column in table["columns"]}
        for table in found["tables"]
    }


def summary(coverage: dict[str, dict[str, dict[str, bool]]]) -> Iterator[str]:
    for kind, tables in coverage.items():
        everything = [covered for columns in tables.values() for covered in columns.values()]
        reports = [covered for name in COLUMNS for covered in tables[name].values()]
        yield f"dbt-coverage: {sum(reports)} of {len(reports)} columns of reports have a {LACKS[kind]}, "
        yield f"of all models and seeds {sum(everything)} of {len(everything)}\n"


def write_catalog(target: Path) -> None:
    """The columns that dbt-coverage looks for, which dbt would take from a database.

    Those of a report are its contract, which tests compare with the view; those of a rollup or a seed are the ones that
    the project lists.
    """
    nodes = json.loads((target / "manifest.json").read_text(encoding="utf-8"))["nodes"]
    catalog: dict[str, Any] = {"nodes": {}, "sources": {}}
    for name, node in nodes.items():
        if node["resource_type"] in ("model", "seed"):
            columns = COLUMNS.get(node["name"], node["columns"])
            catalog["nodes"][name] = {"unique_id": name, "columns": {column: {"name": column} for column in columns}}
    (target / "catalog.json").write_text(json.dumps(catalog), encoding="utf-8")


def result_of(folder: Path, name: str, *command: str) -> Any:
    """What the command writes into a file; its exit code says only how good the project is."""
    (folder / name).unlink(missing_ok=True)
    printed = run(folder, *command)
    if not (folder / name).exists():
        raise ToolFailed(printed)
    return json.loads((folder / name).read_text(encoding="utf-8"))


def run(folder: Path, tool: str, *arguments: str) -> str:
    """What the tool prints. Both read `target` in the folder: where they run, or that of DBT_PROJECT_DIR."""
    environment = {**os.environ, "DBT_PROJECT_DIR": str(folder), "NO_COLOR": "1"}
    command = [str(folder / "bin" / tool), *arguments]
    finished = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    return finished.stdout or finished.stderr


if __name__ == "__main__":
    sys.exit(main())
