"""dbt on the database of the demo."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from chat_telemetry._cli import dbt_runner
from chat_telemetry._cli.errors import CommandError

TARGET = ("--target", "demo")


def build(directory: Path, port: int, passfile: Path, notify: dbt_runner.Notify, lock: int) -> int:
    """Run `dbt build` as telemetry_transformer. Returns how many seeds, models and tests it ran.

    `passfile` has its password. dbt keeps the descriptor of the lock open: if the demo is killed, no other begins
    before this dbt has ended. Raises CommandError with the messages of dbt if a node fails.
    """
    variables = _variables(port, passfile)
    try:
        with dbt_runner.DbtProcess(directory, TARGET, environment=variables, keep_open=[lock]) as dbt:
            return dbt.run("build", notify=notify).nodes
    except dbt_runner.DbtFailed as error:
        raise CommandError(f"{error} (see {directory / 'logs' / 'dbt.log'})") from error


def command(port: int, passfile: Path) -> str:
    """The shell command that runs dbt on this database again."""
    dbt = str(Path(sys.executable).with_name("dbt"))
    variables = {**dbt_runner.NO_DOTENV, **_variables(port, passfile)}
    assignments = [f"{name}={shlex.quote(text)}" for name, text in variables.items()]
    return " ".join([*assignments, shlex.join([dbt, "build", *dbt_runner.project_options(), *TARGET])])


def _variables(port: int, passfile: Path) -> dict[str, str]:
    return {
        "PGPASSFILE": str(passfile),  # libpq reads it, because the target `demo` has an empty password
        "CHAT_TELEMETRY_DBT_PORT": str(port),
    }
