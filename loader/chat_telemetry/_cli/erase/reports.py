"""Runs dbt for an erasure, after checks that say beforehand what would stop the run."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, LiteralString

import psycopg
from psycopg import errors as sqlstate

from chat_telemetry._cli import dbt_runner
from chat_telemetry._cli.dbt_connection import DbtConnection
from chat_telemetry._cli.errors import DatabaseFailed, NotReady
from chat_telemetry._cli.options import transaction

# The server's messages can quote values, and the files stay if the command is killed.
NO_MESSAGES_IN_FILES = ("--log-level-file", "none")
ADVICE = "or add --no-dbt, if a schedule runs dbt"
# The checks with which the run functions of dbt begin.
CHECKS: LiteralString = """
select
    chat_rollups.assert_owner(%s),
    chat_rollups.assert_log_is_visible(),
    chat_rollups.assert_tables_have_rows(array['chat_prices.token_prices', 'chat_prices.model_aliases'])
"""
# A run with another time zone is refused. If the last run had another last day than its date, the schedule names it,
# and it stays. Otherwise dbt chooses the day, as in the next run of the schedule.
VARIABLES: LiteralString = """
select
    rollup.report_timezone,
    case when newest.as_of <> (newest.refreshed_at at time zone newest.report_timezone)::date then newest.as_of end
from chat_rollups.progress as rollup
left join (
    select * from chat_rollups.report_state where refreshed_at is not null order by refreshed_at desc limit 1
) as newest on true
where rollup.name = 'daily_requests'
"""


@dataclass(frozen=True)
class Reports:
    """The reports, for the role that runs dbt."""

    connection: psycopg.Connection
    _dbt: dbt_runner.DbtProcess

    @classmethod
    @contextmanager
    def checked(cls, owner: psycopg.Connection) -> Iterator[Reports]:
        """Connects as dbt does, and lets dbt read its project. dbt's files are deleted at the end.

        Raises NotReady or DatabaseFailed if a run would stop, or is that of another database than that of `owner`.
        """
        if not dbt_runner.is_installed():
            raise NotReady(f"dbt is not installed here: pip install 'chat-telemetry[cli,dbt]', {ADVICE}")
        with ExitStack() as stack:
            try:
                target = DbtConnection.from_environment()
                connection = stack.enter_context(target.connected())
            except (NotReady, DatabaseFailed) as error:
                raise type(error)(f"{error}, {ADVICE}") from None
            _check_database(owner, connection, target)
            options = ["--target", "default", "--vars", json.dumps(_variables(owner)), *NO_MESSAGES_IN_FILES]
            _check_run(connection, target)
            files = Path(stack.enter_context(TemporaryDirectory(prefix="chat-telemetry-")))
            dbt = stack.enter_context(dbt_runner.DbtProcess(files, options, environment=target.environment()))
            dbt.run("parse")
            yield cls(connection, dbt)

    def run(self, notify: dbt_runner.Notify) -> int:
        """One whole `dbt run`, with the variables of the schedule. Returns how many models ran. Raises DbtFailed."""
        return self._dbt.run("run", notify=notify).nodes


def _check_database(owner: psycopg.Connection, connection: psycopg.Connection, target: DbtConnection) -> None:
    """Both are connected to the same database if one waits for an advisory lock of the other."""
    key = secrets.randbits(63)
    with transaction(owner), transaction(connection):
        owner.execute("select pg_advisory_xact_lock(%s)", [key])
        if connection.execute("select pg_try_advisory_xact_lock(%s)", [key]).fetchone() != (False,):
            raise DatabaseFailed(f"{target.source} not lead to the database of --database-url")


def _check_run(connection: psycopg.Connection, target: DbtConnection) -> None:
    try:
        with transaction(connection):
            connection.execute(CHECKS, [target.schema])
    except sqlstate.RaiseException as error:
        hint = f" ({error.diag.message_hint})" if error.diag.message_hint else ""
        raise NotReady(f"dbt cannot run: {error.diag.message_primary}{hint}") from error


def _variables(owner: psycopg.Connection) -> dict[str, Any]:
    """The variables of the last run that the next one has to have. Raises NotReady if dbt never ran."""
    with transaction(owner):
        timezone, as_of = owner.execute(VARIABLES).fetchone() or (None, None)
    if timezone is None:
        raise NotReady(
            f"dbt never ran here, so its variables are not known: run `dbt seed` and `dbt run` once, {ADVICE}"
        )
    return {"report_timezone": timezone} | ({"report_as_of": as_of.isoformat()} if as_of else {})
