"""The child process of `DbtProcess`: runs dbt commands one after another, and parses the project only once.

The arguments of the process are the options of every command. Each line of stdin is a command, a JSON array. dbt writes
its events to stdout as JSON lines; after those of a command comes the line `{"exit": CODE, …}`.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, TextIO

from dbt.cli.exceptions import DbtUsageException
from dbt.cli.main import dbtRunner, dbtRunnerResult
from dbt.contracts.graph.manifest import Manifest


def main(options: list[str], commands: TextIO) -> None:
    """Run the commands until stdin ends, which it does if the parent process was killed."""
    manifest: Manifest | None = None
    for line in commands:
        arguments: list[str] = json.loads(line)
        outcome = None
        if manifest is None:
            outcome = _invoke(None, "parse", *options)
            manifest = outcome.result if isinstance(outcome.result, Manifest) else None
        if manifest is not None and arguments != ["parse"]:
            outcome = _invoke(manifest, *arguments, *options)
        _print({"exit": int(outcome is not None and not outcome.success), "compiled": _compiled(outcome)})


def _compiled(outcome: dbtRunnerResult | None) -> dict[str, str]:
    """The SQL of the data tests that `compile` compiled, by their names."""
    results = getattr(outcome.result, "results", []) if outcome is not None else []
    nodes = [result.node for result in results if result.node is not None]
    return {node.name: node.compiled_code for node in nodes if node.resource_type == "test" and node.compiled_code}


def _invoke(manifest: Manifest | None, *arguments: str) -> dbtRunnerResult:
    outcome = dbtRunner(manifest=manifest).invoke([*arguments])
    if isinstance(outcome.exception, DbtUsageException):  # dbt logs every other exception itself
        _print({"info": {"level": "error", "name": "UsageError", "msg": str(outcome.exception)}, "data": {}})
    return outcome


def _print(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    lines, sys.stdin = sys.stdin, open(os.devnull)  # noqa: PTH123, SIM115  # dbt must not read the commands
    main(sys.argv[1:], lines)
