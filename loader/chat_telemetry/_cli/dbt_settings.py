"""How the commands run dbt: where it connects, its variables, and where it writes its files."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from chat_telemetry._cli.dbt_connection import DbtConnection
from chat_telemetry._cli.dbt_runner import DbtProcess, is_installed
from chat_telemetry._cli.errors import NotReady, UsageError, one_line
from chat_telemetry._database_url import unquoted

DbtVars = Annotated[
    str | None,
    typer.Option(
        "--vars",
        envvar="CHAT_TELEMETRY_DBT_VARS",
        metavar="YAML",
        help="Variables of the dbt project, for example '{report_timezone: Europe/Berlin}'.",
    ),
]


@dataclass(frozen=True)
class DbtSettings:
    """A connection, variables, and a directory for the files of dbt."""

    connection: DbtConnection
    variables: str
    """As dbt's option --vars, or empty."""
    files: Path
    """dbt keeps the parsed project and its log here, so that the next process need not parse the project again."""

    @classmethod
    @contextmanager
    def from_environment(cls, variables: str | None) -> Iterator[DbtSettings]:
        """Raises NotReady if dbt is not installed or its connection is not known, UsageError for wrong variables."""
        if not is_installed():
            raise NotReady("dbt is not installed here: pip install 'chat-telemetry[cli,dbt]'")
        connection = DbtConnection.from_environment()
        with _files() as files:
            yield cls(connection, _checked(unquoted(variables or "")), files)

    def start(self) -> DbtProcess:
        """A process that runs commands of dbt."""
        variables = ["--vars", self.variables] if self.variables else []
        options = ["--target", "default", *variables]
        return DbtProcess(self.files, options, environment=self.connection.environment())


def _checked(variables: str) -> str:
    """Every step would fail in dbt otherwise, and with a longer text."""
    import yaml  # noqa: PLC0415  # dbt brings it, which not every command needs

    try:
        is_mapping = isinstance(yaml.safe_load(variables or "{}"), dict)
    except (yaml.YAMLError, ValueError):  # ValueError: an impossible date
        is_mapping = False
    if not is_mapping:
        raise UsageError(
            "--vars (or CHAT_TELEMETRY_DBT_VARS) needs a YAML mapping, for example "
            f"'{{report_timezone: Europe/Berlin}}', not {one_line(variables)!r}"
        )
    return variables


@contextmanager
def _files() -> Iterator[Path]:
    """CHAT_TELEMETRY_DBT_FILES, or a directory below that for caches; a temporary one if there is no home."""
    if chosen := os.environ.get("CHAT_TELEMETRY_DBT_FILES"):
        yield _created(Path(chosen).absolute())
        return
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        directory = _created(cache.absolute() / "chat-telemetry")
    except (OSError, RuntimeError, UsageError):
        with tempfile.TemporaryDirectory(prefix="chat-telemetry-") as temporary:
            yield Path(temporary)
        return
    yield directory


def _created(directory: Path) -> Path:
    """Readable for its owner only, because dbt's log has messages of the server."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError as error:
        raise UsageError(f"{directory} is not a directory") from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise UsageError(f"{directory} cannot be written to: set CHAT_TELEMETRY_DBT_FILES")
    return directory
