"""What the package offers by name: an addition, or a removal, is a line of this file."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import chat_telemetry

ROOT = Path(__file__).parents[1]
PACKAGE = Path(chat_telemetry.__file__).parent
PUBLIC_NAMES = [
    "ANONYMOUS_USER",
    "Stats",
    "TelemetryClient",
    "TelemetryError",
    "TelemetryRecord",
    "close",
    "configure",
    "current",
    "flush",
    "observe_chat",
    "persist_telemetry",
    "stats",
    "user_key",
]
PUBLIC_MODULES = [
    "chat_telemetry",
    "chat_telemetry.__main__",
    "chat_telemetry.integrations",
    "chat_telemetry.integrations.langchain",
    "chat_telemetry.integrations.opentelemetry",
]
# dbt_project.yml may leave its version out, and dbt does nothing with it.
DBT_PROJECTS = ["dbt_project.yml", "benchmarks/reports/plain_views/dbt_project.yml"]


def module_name(file: Path) -> str:
    """`chat_telemetry._cli.load` for `_cli/load.py`."""
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_private(module: str) -> bool:
    return any(part.startswith("_") and not part.startswith("__") for part in module.split("."))


def test_the_public_names_are_these() -> None:
    assert chat_telemetry.__all__ == PUBLIC_NAMES


def test_the_public_modules_are_these() -> None:
    modules = {module_name(file) for file in PACKAGE.rglob("*.py")}
    assert len(modules) > 30
    assert sorted(module for module in modules if not is_private(module)) == PUBLIC_MODULES


def test_the_version_stands_in_pyproject_only() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert chat_telemetry.__version__ == version
    for project in DBT_PROJECTS:
        assert "version" not in yaml.safe_load((ROOT / project).read_text())


def test_the_version_is_not_looked_up_by_an_import() -> None:
    """A vendored copy has no metadata, and must not stop the chat code that imports it."""
    script = (
        "import importlib.metadata as metadata\n"
        "import psycopg, uuid_utils, msgspec\n"
        "metadata.version = None\n"
        "from chat_telemetry import *\n"
        "import chat_telemetry\n"
        "assert '__version__' not in vars(chat_telemetry)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'chat_telemetry' has no attribute 'persist'"):
        _ = chat_telemetry.persist  # type: ignore[attr-defined]


def test_a_type_checker_knows_the_version_and_reports_an_unknown_name(tmp_path: Path) -> None:
    program = tmp_path / "chat.py"
    program.write_text("import chat_telemetry\nversion: str = chat_telemetry.__version__\nchat_telemetry.persist\n")
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache"), "--config-file", "", str(program)]
    environment = {**os.environ, "MYPYPATH": str(PACKAGE.parent)}
    finished = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    errors = [line.split(": ", 1)[0] for line in finished.stdout.splitlines() if ": error: " in line]
    assert errors == ["chat.py:3"], finished.stdout


def test_python_m_runs_the_command_line() -> None:
    command = [sys.executable, "-m", "chat_telemetry", "--version"]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (finished.stdout, finished.stderr) == (f"{chat_telemetry.__version__}\n", "")


def test_the_module_of_python_m_can_be_imported() -> None:
    subprocess.run([sys.executable, "-c", "import chat_telemetry.__main__"], check=True)
