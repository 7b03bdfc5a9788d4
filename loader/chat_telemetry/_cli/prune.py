"""`chat-telemetry prune`: delete old rows of the log, or their texts. What the reports count of them stays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Annotated, LiteralString, NamedTuple
from uuid import UUID

import psycopg
import typer
from psycopg import errors as sqlstate

from chat_telemetry._cli.durations import duration
from chat_telemetry._cli.errors import CommandError, DatabaseFailed, NotReady, UsageError, server_message
from chat_telemetry._cli.options import DatabaseUrl, ask, connect, transaction
from chat_telemetry._cli.progress import rows_bar
from chat_telemetry._cli.tables import number

SHORTEST_DAYS = 60
# sql_patterns reads the SQL of the last seven days.
SHORTEST_DAYS_OF_TEXTS = 8
# Each batch is a transaction: nobody waits long for its locks, and a killed command loses one of them at most.
BATCH_ROWS = 5_000

# The day as the reports count it; the first condition is for the index on the time.
IS_OLD: LiteralString = """
    created_at < %(until)s::date::timestamp at time zone %(timezone)s + interval '6 hours'
    and (
        greatest(least(created_at, '9999-12-30 00:00:00+00'), '1999-12-30 00:00:00+00') at time zone %(timezone)s
    )::date < %(until)s
"""
HAS_TEXT: LiteralString = """
    and (
        user_question <> ''
        or num_nonnulls(ai_response, generated_sql, follow_up_suggestions, error_message) > 0
    )
"""
LIMITS: LiteralString = """
select
    coalesce(r.report_timezone, 'UTC'),
    -- report_as_of can be an earlier day.
    least(d.as_of, (now() at time zone coalesce(r.report_timezone, 'UTC'))::date)
from chat_rollups.progress as d
inner join chat_rollups.progress as r on r.name = 'daily_requests'
where d.name = 'drained_changes'
"""
# Foreign keys by which a deletion would change rows of the application.
REFERENCES: LiteralString = """
select conrelid::regclass::text, conname from pg_constraint
where contype = 'f' and confrelid = 'public.chat_telemetry_log'::regclass and confdeltype in ('c', 'n', 'd')
order by 1, 2
"""
SET_HORIZON: LiteralString = "select chat_rollups.set_horizon(%(until)s, %(timezone)s)"
# The deletions are in the change feed, too, where nobody needs them.
DISCARD: LiteralString = "select chat_rollups.discard_before_horizon()"
# A time that goes out as a text comes back as the same time.
SETTINGS: LiteralString = """
    set local statement_timeout = '5min';
    set local datestyle = 'ISO';
    set local timezone = 'UTC'
"""
COUNT: LiteralString = "select count(*) from public.chat_telemetry_log where"
BATCH: LiteralString = """
with batch as materialized (
    select log_id, created_at from public.chat_telemetry_log
    where created_at >= %(since)s and (created_at, log_id) > (%(since)s, %(after)s) and {is_old}
    order by created_at, log_id
    limit %(rows)s
),

changed as (
    {change} where log_id = any(array(select log_id from batch)) and {is_old} returning 1
)

select (select count(*) from changed), created_at::text, log_id
from batch
order by created_at desc, log_id desc
limit 1
"""
DELETE: LiteralString = "delete from public.chat_telemetry_log"
REMOVE_TEXTS: LiteralString = """
    update public.chat_telemetry_log
    set
        user_question = '', ai_response = null, generated_sql = null, follow_up_suggestions = null,
        error_message = null
"""


class Old(NamedTuple):
    """Which rows are old: those of days before `until`, in the time zone of the reports."""

    until: date
    timezone: str


def prune(
    *,
    older_than: Annotated[
        timedelta, typer.Option("--older-than", parser=duration, metavar="DAYS", help="For example 400d; at least 60d.")
    ],
    database_url: DatabaseUrl,
    texts_only: Annotated[
        bool,
        typer.Option("--texts-only", help="Keep the rows, and remove questions, responses, SQL and errors."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete old rows of the log, or their texts. The reports keep what they counted of them."""
    shortest = SHORTEST_DAYS_OF_TEXTS if texts_only else SHORTEST_DAYS
    if older_than % timedelta(days=1) or older_than.days < shortest:
        raise UsageError(f"--older-than must be whole days, at least {shortest}d: the reports need the days up to then")
    with connect(database_url) as connection:
        old = _find_old(connection, older_than.days)
        rows = _count(connection, old, texts_only=texts_only)
        what = "Remove the texts of" if texts_only else "Delete"
        if rows or not texts_only:
            before = f"before {old.until} ({old.timezone})"
            ask(
                f"{what} {number(rows, 'row')} of the log {before}?", what="prune", yes=yes, if_no="nothing was changed"
            )
        horizon = None if texts_only else _set_horizon(connection, old)
        changed = _change(connection, old, rows, texts_only=texts_only)
    if texts_only:
        typer.echo(f"the texts of {number(changed, 'row')} removed, nothing else changed")
    else:
        typer.echo(f"{number(changed, 'row')} deleted; from {horizon} on, the reports equal the log")


def _find_old(connection: psycopg.Connection, days: int) -> Old:
    """Raises NotReady, DatabaseFailed, and CommandError if rows of the application would change."""
    with _as_owner(connection):
        timezone, today = connection.execute(LIMITS).fetchone() or ("UTC", None)
        references = connection.execute(REFERENCES).fetchall()
    if references:
        tables = ", ".join(f"{table} ({constraint})" for table, constraint in references)
        raise CommandError(
            f"rows of {tables} would be deleted or changed with those of the log: change the foreign key to "
            "`on delete no action`, and delete what refers to old rows before you prune"
        )
    return Old(today - timedelta(days=days), timezone)


def _count(connection: psycopg.Connection, old: Old, *, texts_only: bool) -> int:
    condition = IS_OLD + HAS_TEXT if texts_only else IS_OLD
    with transaction(connection):
        (rows,) = connection.execute(COUNT + condition, old._asdict()).fetchone() or (0,)
    return int(rows)


def _set_horizon(connection: psycopg.Connection, old: Old) -> date:
    """Drain the feed, and count older days no more. Raises NotReady and DatabaseFailed."""
    with _as_owner(connection):
        (horizon,) = connection.execute(SET_HORIZON, old._asdict()).fetchone() or (old.until,)
    assert isinstance(horizon, date)  # noqa: S101
    return horizon


def _change(connection: psycopg.Connection, old: Old, rows: int, *, texts_only: bool) -> int:
    """Returns how many rows were deleted or lost their texts. Raises CommandError with how far it came."""
    is_old = IS_OLD + HAS_TEXT if texts_only else IS_OLD
    statement = BATCH.format(is_old=is_old, change=REMOVE_TEXTS if texts_only else DELETE)
    changed, position = 0, {"since": "-infinity", "after": UUID(int=0)}
    with rows_bar("texts" if texts_only else "deletion", rows) as advance:
        while True:
            try:
                with transaction(connection):
                    connection.execute(SETTINGS)
                    batch = connection.execute(statement, {**old._asdict(), **position, "rows": BATCH_ROWS}).fetchone()
                    if not texts_only:
                        connection.execute(DISCARD)
            except psycopg.Error as error:
                raise _interrupted(changed, server_message(error)) from error
            if batch is None:
                break
            done, *last = batch
            position = dict(zip(position, last, strict=True))
            changed += done
            advance(done)
    if changed < rows and (left := _count(connection, old, texts_only=texts_only)):
        raise _interrupted(changed, f"{number(left, 'row')} left, for example because a trigger of the log keeps them")
    return changed


@contextmanager
def _as_owner(connection: psycopg.Connection) -> Iterator[None]:
    """A transaction. Raises NotReady and DatabaseFailed with what to do."""
    try:
        with transaction(connection):
            yield
    except (sqlstate.UndefinedTable, sqlstate.UndefinedColumn) as error:
        raise NotReady(f"{server_message(error)}: run `chat-telemetry migrate`") from error
    except sqlstate.RaiseException as error:
        raise NotReady(f"{server_message(error)} ({error.diag.message_hint}) Nothing was changed") from error
    except sqlstate.InsufficientPrivilege as error:
        raise DatabaseFailed(f"{server_message(error)}: connect as the role that migrates") from error


def _interrupted(changed: int, reason: str) -> CommandError:
    return CommandError(f"{reason}. {number(changed, 'row')} done. Run the same command again, it continues")
