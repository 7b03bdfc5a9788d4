"""Reads reports with the rights of telemetry_reader and no others, whatever the login.

A report belongs to telemetry_transformer, which may put code into it: a view that calls a function, or a type with a
cast of its own. The code must not get the rights of the login, which may be the owner of the database or a superuser.
`set role` alone does not prevent that, because the code can reset the role. Within a security definer function
PostgreSQL refuses every change of the role. Therefore a temporary function of telemetry_reader plans and executes the
query, and returns text. Its transaction is rolled back, so that nothing remains of what the code created or set.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from decimal import Decimal
from typing import LiteralString, NamedTuple

import psycopg
from psycopg import errors as sqlstate
from psycopg import sql
from psycopg.rows import args_row

from chat_telemetry._cli.errors import DatabaseFailed, NotReady
from chat_telemetry._cli.options import transaction

SCHEMA = "chat_reports"
PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*", re.ASCII)
READER = "telemetry_reader"
AS_READER = f"connect as {READER} to read the reports"
# to_json gets the whole row, also if the report has a column `report`.
ROWS: LiteralString = """
select pg_catalog.count(*) over (), {sum}, pg_catalog.to_json(report.*)::pg_catalog.text
from (select * from {report} where {condition} order by {order_by}) as report
limit {limit}
"""
ANY_ROW: LiteralString = """
select 1::pg_catalog.int8, null::pg_catalog.numeric, null::pg_catalog.text from ({}) as found limit 1
"""
SUM: LiteralString = "pg_catalog.sum(report.{}::pg_catalog.numeric) over ()"
EVERY_ROW = sql.SQL("true")
CREATE_FUNCTION: LiteralString = """
create function pg_temp.read_report(query pg_catalog.text)
returns table (total pg_catalog.int8, sum pg_catalog.numeric, object pg_catalog.text)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as 'begin return query execute query; end'
"""
CALL_FUNCTION: LiteralString = "select * from pg_temp.read_report({}::pg_catalog.text)"
# Advisory locks and prepared statements outlive the transaction. In the session of a pooler, a statement that the code
# prepared could replace that of an application. All names are qualified, because the code can change search_path.
REMOVE_LEFTOVERS: LiteralString = """
do $$
declare
    statement pg_catalog.text;
begin
    perform pg_catalog.pg_advisory_unlock_all();
    for statement in select name from pg_catalog.pg_prepared_statements where from_sql loop
        execute pg_catalog.format('deallocate %I', statement);
    end loop;
end
$$
"""
COLUMNS: LiteralString = """
select a.attname, a.atttypid = any('{float4,float8,numeric}'::regtype[])
from pg_catalog.pg_attribute as a
inner join pg_catalog.pg_class as c on a.attrelid = c.oid
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
where n.nspname = %s and c.relname = %s and (c.relkind = 'm' or %s) and a.attnum > 0 and not a.attisdropped
order by a.attnum
"""


class Row(NamedTuple):
    """A row of a report."""

    total: int
    """How many rows the report has without a limit."""
    sum: Decimal | None
    """The sum of a column over all these rows."""
    object: str
    """The row as a JSON object, as PostgreSQL writes it."""


OpenQuery = Callable[[sql.Composed], AbstractContextManager[Iterator[Row]]]


def identifier(name: str) -> str:
    """The name as a statement has it: in quotes if it needs them."""
    return name if PLAIN_NAME.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def columns_of(connection: psycopg.Connection, report: str, *, of_any_kind: bool) -> dict[str, bool]:
    """The columns of a report, and whether their numbers have decimals.

    Empty if there is no such materialized view, or no such relation `of_any_kind`.
    """
    with transaction(connection):
        return dict(connection.execute(COLUMNS, [SCHEMA, report, of_any_kind]).fetchall())


@contextmanager
def open_rows(
    connection: psycopg.Connection,
    report: str,
    order_by: LiteralString,
    limit: int | None,
    *,
    condition: sql.Composable = EVERY_ROW,
    summed: str = "",
) -> Iterator[Iterator[Row]]:
    """The first `limit` rows of a report that fulfil the condition, with the sum of the column `summed`.

    Raises like `reading`.
    """
    query = sql.SQL(ROWS).format(
        sum=sql.SQL(SUM).format(sql.Identifier(summed)) if summed else sql.SQL("null::pg_catalog.numeric"),
        report=sql.Identifier(SCHEMA, report),
        condition=condition,
        order_by=sql.SQL(order_by),
        limit=sql.Literal(limit),
    )
    with reading(connection) as open_query, open_query(query) as rows:
        yield rows


@contextmanager
def reading(
    connection: psycopg.Connection, *, one_snapshot: bool = False, as_login: bool = False
) -> Iterator[OpenQuery]:
    """A transaction whose queries return the columns of a Row. With `one_snapshot`, all see the rows of one moment.

    `as_login` is for the role that dbt has, and whose code the reports are: it need not be a reader.

    Raises NotReady if there is no telemetry_reader, DatabaseFailed if the login may not read as this role, and
    psycopg.Error.
    """
    ((login, is_standby),) = connection.execute("select session_user, pg_catalog.pg_is_in_recovery()").fetchall()
    is_reader = as_login or login == READER  # then the code has no further right to get
    if is_standby and not is_reader:
        raise DatabaseFailed(f"this server is a standby: {AS_READER}")
    connection.read_only = None if is_reader else False
    with transaction(connection, rolls_back=True):
        if one_snapshot:
            connection.execute("set transaction isolation level repeatable read")
        connection.execute("set local extra_float_digits = 1")  # all digits, whatever the settings of the login
        if is_reader:
            yield lambda query: closing(_stream(connection, query))
        else:
            _create_function_of_reader(connection, login)
            yield lambda query: _stream_as_reader(connection, query)


def found_as(connection: psycopg.Connection, role: str, query: sql.Composed) -> bool:
    """Whether the query has a row that this role sees, without giving code of others the rights of the login.

    Raises psycopg.errors.InsufficientPrivilege if the login may not become the role or the role may not see every row.
    """
    with transaction(connection, rolls_back=True):
        connection.execute("set local row_security = off")
        connection.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
        connection.execute(CREATE_FUNCTION)
        found = sql.SQL(ANY_ROW).format(query)
        call = sql.SQL(CALL_FUNCTION).format(sql.Literal(found.as_string(connection)))
        with _without_leftovers(connection):
            return connection.execute(call).rowcount > 0


def _stream(connection: psycopg.Connection, query: sql.Composed) -> Generator[Row]:
    yield from connection.cursor(row_factory=args_row(Row)).stream(query)


@contextmanager
def _stream_as_reader(connection: psycopg.Connection, query: sql.Composed) -> Iterator[Iterator[Row]]:
    call = sql.SQL(CALL_FUNCTION).format(sql.Literal(query.as_string(connection)))
    with _without_leftovers(connection), closing(_stream(connection, call)) as rows:
        yield rows


def _create_function_of_reader(connection: psycopg.Connection, login: str) -> None:
    """Continue the transaction as telemetry_reader. Raises NotReady and DatabaseFailed."""
    try:
        connection.execute(sql.SQL("set local role {}").format(sql.Identifier(READER)))
    except sqlstate.InvalidParameterValue as error:
        raise NotReady(f"the server has no role {READER}: run `chat-telemetry migrate`") from error
    except sqlstate.InsufficientPrivilege as error:
        grant = f"grant {READER} to {identifier(login)}"
        raise DatabaseFailed(f"{login} may not read as {READER}: `{grant}` allows it, or {AS_READER}") from error
    try:
        connection.execute(CREATE_FUNCTION)
    except (sqlstate.InsufficientPrivilege, sqlstate.ReadOnlySqlTransaction) as error:
        raise DatabaseFailed(f"{error.diag.message_primary}: {AS_READER}") from error


@contextmanager
def _without_leftovers(connection: psycopg.Connection) -> Iterator[None]:
    """Remove from the session what the code of a report left, also if it failed.

    The savepoint is rolled back, so that the code cannot replace the function that executes the next query.
    """
    try:
        with connection.transaction(force_rollback=True):
            yield
    finally:
        with suppress(psycopg.Error):  # if the connection is lost, the session has ended
            connection.execute(REMOVE_LEFTOVERS)
