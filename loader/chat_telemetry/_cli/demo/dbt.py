"""dbt on the database of the demo."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from chat_telemetry._cli import dbt_runner
from chat_telemetry._cli.errors import CommandError

PORT = "CHAT_TELEMETRY_DBT_PORT"
TARGET = ("--target", "demo")


def build(directory: Path, port: int, notify: dbt_runner.Notify, lock: int) -> int:
    """Run `dbt build` as telemetry_transformer. Returns how many seeds, models and tests it ran.

    dbt keeps the descriptor of the lock open: if the demo is killed, no other begins before this dbt has ended. Raises
    CommandError with the messages of dbt if a node fails.
    """
    environment = {PORT: str(port)}
    try:
        return dbt_runner.run(
            "build", *TARGET, files=directory, environment=environment, notify=notify, keep_open=[lock]
        )
    except dbt_runner.DbtFailed as error:
        raise CommandError(f"{error} (see {directory / 'logs' / 'dbt.log'})") from error


def command(port: int) -> str:
    """The shell command that runs dbt on this database again."""
    dbt = Path(sys.executable).with_name("dbt")
    return f"{PORT}={port} {shlex.join([str(dbt), 'build', *dbt_runner.project_options(), *TARGET])}"
