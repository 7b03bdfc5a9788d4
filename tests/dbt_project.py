"""Runs the dbt project against a test database, in this process, as telemetry_transformer."""

from __future__ import annotations

import json
import os
import secrets
import tempfile
import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from dbt.cli.main import dbtRunner, dbtRunnerResult
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from chat_telemetry._cli.sql_project import project_directory
from tests.conftest import Database, Server

# For builds whose tests are tested elsewhere: a unit test takes a tenth of a second, and there are 82.
NO_UNIT_TESTS = ["--exclude-resource-type", "unit_test"]
NO_TESTS = [*NO_UNIT_TESTS, "--exclude-resource-type", "test"]
DEPRECATIONS_ARE_ERRORS = '{"error": ["Deprecations"]}'
# One password per process, because dbt parses the project again if it changes.
PASSWORD = secrets.token_hex(16)
_parsed_projects: dict[str, bytes] = {}


@dataclass(frozen=True)
class DbtProject:
    """The project, with a database to build in, a directory for dbt's files, and environment variables."""

    database: Database
    scratch: Path
    directory: Path = field(default_factory=project_directory)
    settings: Mapping[str, str] = field(default_factory=dict)

    def invoke(self, *arguments: str, user: str = "telemetry_transformer", **variables: Any) -> dbtRunnerResult:
        """`dbt ARGUMENTS --vars VARIABLES`; look at `.success`, `.result` and `.exception`."""
        environment, options = self.environment(user), self.command(*arguments, **variables)
        parsed = self.scratch / "target" / "partial_parse.msgpack"
        key = repr([self.database.conninfo, user, dict(self.settings), options[len(arguments) :]])
        if key in _parsed_projects:
            parsed.parent.mkdir(exist_ok=True)
            parsed.write_bytes(_parsed_projects[key])
        with mock.patch.dict(os.environ, environment), _flags_without_their_source(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            outcome = dbtRunner().invoke(["--quiet", "--no-write-json", *options])
        if parsed.exists():
            # Only the first one: edits of a test in its copy of the project must not reach other tests.
            _parsed_projects.setdefault(key, parsed.read_bytes())
        return outcome

    def run(self, *arguments: str, **variables: Any) -> dbtRunnerResult:
        """Like invoke, but if dbt fails, the test fails with dbt's messages."""
        outcome = self.invoke(*arguments, **variables)
        assert outcome.success, failures(outcome)
        return outcome

    def command(self, *arguments: str, **variables: Any) -> list[str]:
        """The arguments of the command `dbt`."""
        project = str(self.directory)
        options = ["--project-dir", project, "--profiles-dir", project, "--vars", json.dumps(variables)]
        return [*arguments, "--warn-error-options", DEPRECATIONS_ARE_ERRORS, *options]

    def environment(self, user: str = "telemetry_transformer") -> dict[str, str]:
        """Set a password for `user`; returns the variables with which dbt connects."""
        with self.database.connect() as connection:
            connection.execute(
                sql.SQL("alter role {} login password {}").format(sql.Identifier(user), sql.Literal(PASSWORD))
            )
        parameters = conninfo_to_dict(self.database.conninfo)
        return {
            "CHAT_TELEMETRY_DBT_HOST": str(parameters["host"]),
            "CHAT_TELEMETRY_DBT_PORT": str(parameters.get("port", 5432)),
            "CHAT_TELEMETRY_DBT_USER": user,
            "CHAT_TELEMETRY_DBT_DATABASE": self.database.name,
            "DBT_ENV_SECRET_CHAT_TELEMETRY_PASSWORD": PASSWORD,
            "CHAT_TELEMETRY_DBT_THREADS": "2",
            "DBT_TARGET_PATH": str(self.scratch / "target"),
            "DBT_LOG_PATH": str(self.scratch / "logs"),
            **self.settings,
        }


def template_with_prices(server: Server) -> str:
    """The name of a migrated database after `dbt seed`, which takes longer than a run."""

    def seed(database: Database) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            DbtProject(database, Path(scratch)).run("seed")

    return server.template_with("prices", server.template(), seed)


def _flags_without_their_source() -> AbstractContextManager[object]:
    """Without this, dbt searches the stack and all modules for the origin of each flag: seconds per call in a test."""
    return mock.patch("dbt_common.behavior_flags.BehaviorFlagRendered._default_source", return_value="tests")


def results(outcome: dbtRunnerResult) -> list[Any]:
    """The result of each node, if dbt came so far. dbt types them as one of many classes."""
    return list(getattr(outcome.result, "results", []))


def manifest(outcome: dbtRunnerResult) -> Any:
    """What `dbt parse` returns."""
    assert outcome.result, outcome.exception
    return outcome.result


def failures(outcome: dbtRunnerResult) -> str:
    """The messages of the nodes that failed."""
    if outcome.exception:
        return str(outcome.exception)
    found = results(outcome)
    return "\n".join(f"{r.node.name}: {r.status}: {r.message}" for r in found if r.status not in {"success", "pass"})
