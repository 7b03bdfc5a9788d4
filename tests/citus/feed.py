"""Compares the change feed with the log. Nothing may write meanwhile, because each table is read on its own."""

from __future__ import annotations

from tests.conftest import Database

COLUMNS = (
    "select string_agg(attname, ', ') from pg_attribute where attrelid = 'public.chat_telemetry_changes'::regclass"
)
# Rows of the log that the feed has not, and rows that only the feed has. Both tables are read as of the same time,
# because nothing writes meanwhile.
DIFFERENCES = """
with logged as (select {columns} from public.chat_telemetry_log),
fed as (
    select {columns} from public.chat_telemetry_changes
    group by {columns} having sum(sign) <> 0
),
twice as (select {columns} from public.chat_telemetry_changes group by {columns} having sum(sign) not in (0, 1))
(select * from logged except all select * from fed)
union all
(select * from fed except all select * from logged)
union all
select * from twice
"""


def differences(database: Database) -> list[tuple[object, ...]]:
    with database.connect() as connection:
        row = connection.execute(COLUMNS + " and attnum > 0 and attname <> 'sign'").fetchone()
        assert row
        return connection.execute(DIFFERENCES.format(columns=row[0])).fetchall()


def counts(database: Database) -> tuple[int, int]:
    """How many rows the log has, and the sum of the signs of the feed."""
    with database.connect() as connection:
        row = connection.execute(
            "select (select count(*) from public.chat_telemetry_log),"
            " (select coalesce(sum(sign), 0) from public.chat_telemetry_changes)"
        ).fetchone()
        assert row
        return row
