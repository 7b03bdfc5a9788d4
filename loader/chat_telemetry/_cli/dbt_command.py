"""`chat-telemetry dbt`: any command of dbt on the installed project."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from chat_telemetry._cli.dbt_runner import own_environment
from chat_telemetry._cli.dbt_settings import DbtSettings
from chat_telemetry._cli.sql_project import project_directory

DBT = ("-P", "-c", "from dbt.cli.main import cli; cli(prog_name='dbt')")


def dbt(
    arguments: Annotated[list[str] | None, typer.Argument(metavar="ARGUMENTS", help="As dbt has them.")] = None,
) -> None:
    """Run dbt on the installed project: `chat-telemetry dbt test --select tag:reconcile`."""
    arguments = arguments or ["--help"]
    with DbtSettings.from_environment(os.environ.get("CHAT_TELEMETRY_DBT_VARS")) as settings:
        project = str(project_directory())
        environment = {
            **own_environment(),
            **settings.connection.environment(),
            "DBT_PROJECT_DIR": project,
            "DBT_PROFILES_DIR": project,
            "DBT_TARGET_PATH": str(settings.files / "target"),
            "DBT_LOG_PATH": str(settings.files / "logs"),
        }
        # dbt has no variable of the environment for --vars, and dbt itself has only options without them.
        is_command = any(not each.startswith("-") for each in arguments)
        if settings.variables and is_command and not any(each.split("=")[0] == "--vars" for each in arguments):
            arguments = [*arguments, "--vars", settings.variables]
        sys.stdout.flush()
        os.execve(sys.executable, [sys.executable, *DBT, *arguments], environment)  # noqa: S606
