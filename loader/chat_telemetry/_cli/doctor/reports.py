"""Checks of the reports: whether they are there, fresh, and can be refreshed beside readers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import LiteralString

import psycopg

from chat_telemetry._cli.doctor.finding import Found, Level, SqlCheck
from chat_telemetry._cli.logged_models import UNCONFIRMED_DAYS, State, logged_models
from chat_telemetry._cli.options import transaction
from chat_telemetry._cli.report import REPORTS
from chat_telemetry._cli.tables import number

VIEWS: LiteralString = """
with expected as (select unnest(%s::text[]) as name),

found as (
    select
        c.oid, c.relname, c.relispopulated, c.relowner,
        exists (
            select from pg_index as i
            where i.indrelid = c.oid and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
        ) as has_key
    from pg_class as c
    where c.relnamespace = to_regnamespace('chat_reports') and c.relkind = 'm'
)

select 'fault', format('the report %%s does not exist', e.name), 'chat-telemetry run'
from expected as e
where e.name not in (select relname from found)
union all
select 'fault', format('the report %%s has no rows yet, as after a restore', relname), 'chat-telemetry run'
from found where not relispopulated
union all
select
    'fault', format('the report %%s has no unique index, so readers wait for each refresh', relname),
    format('chat-telemetry dbt run --full-refresh --select %%s', relname)
from found where not has_key
union all
select
    'fault', format('the report %%s belongs to %%s', relname, relowner::regrole),
    format('alter materialized view %%s owner to telemetry_transformer', oid::regclass)
from found
where to_regrole('telemetry_transformer') is not null and relowner <> to_regrole('telemetry_transformer')
"""

FRESHNESS = SqlCheck(
    "the reports are fresh, and every change is counted or waits for the next run",
    """
    select 'fault', 'dbt never ran', 'chat-telemetry run'
    where not exists (select from chat_rollups.report_state where refreshed_at is not null)
    union all
    select
        'fault',
        format('not refreshed for more than a day: %s', string_agg(report, ', ' order by report)),
        'chat-telemetry run, by a schedule'
    from chat_rollups.report_state
    where refreshed_at < now() - interval '1 day' and to_regclass(format('chat_reports.%I', report)) is not null
    having count(*) > 0
    union all
    select
        -- The lock of a run function: after it, the others follow.
        case when exists (
            select from pg_locks
            where relation = 'chat_rollups.progress'::regclass and mode = 'RowShareLock' and pid <> pg_backend_pid()
        ) then 'note' else 'fault' end,
        format('%s has not counted the last drains, because runs leave it out or one is in progress', r.name),
        'chat-telemetry run, without --select'
    from chat_rollups.progress as r
    inner join chat_rollups.progress as d on d.name = 'drained_changes'
    where r.name not in ('drained_changes', 'price_periods') and r.drain_number < d.drain_number
    union all
    select
        'fault', format('%s changes wait in the feed, and no run drained them for 15 minutes', feed.changes),
        'chat-telemetry run, by a schedule'
    from chat_rollups.pending_changes() as feed (changes)
    where
        feed.changes > 100000
        and (select max(refreshed_at) from chat_rollups.report_state) < now() - interval '15 minutes'
    """,
)

ROWS = SqlCheck(
    "no request is in the future, and none is left out",
    """
    select
        'fault', format('%s requests have a time in the future', count(*)),
        'set the clocks of the chat application; no report counts them before their day'
    from public.chat_telemetry_log where created_at > now() + interval '1 minute'
    having count(*) > 0
    union all
    select
        'note',
        format('the reports leave out up to %s requests or durations with impossible values', max(left_out_count)),
        'see left_out_count in docs/reports.md'
    from chat_rollups.report_state
    having max(left_out_count) > 0
    union all
    select
        'note',
        format(
            'pruned: the reports equal the log from %s on, and %s changes of earlier days were discarded', horizon,
            discarded_changes
        ),
        ''
    from chat_rollups.progress where horizon is not null
    """,
)


def views(connection: psycopg.Connection) -> Iterator[Found]:
    """Whether the reports exist and can be refreshed concurrently."""
    with transaction(connection, rolls_back=True):
        rows = connection.execute(VIEWS, [[*REPORTS]]).fetchall()
    for level, text, fix in rows:
        yield Level(level), text, fix
    if not rows:
        yield Level.OK, f"{number(len(REPORTS), 'report')}, each can be refreshed beside readers", ""


def prices(connection: psycopg.Connection) -> Iterator[Found]:
    """Whether every model has a price that was confirmed. Needs the role of dbt, which owns the reports."""
    with transaction(connection, rolls_back=True):
        models = logged_models(connection, 30)
    unpriced = [model.name for model in models if model.state is State.UNPRICED]
    old = [model.name for model in models if model.state is State.OLD]
    if unpriced:
        yield Level.FAULT, f"calls without a price: {', '.join(unpriced)}", "chat-telemetry prices"
    if old:
        text = f"prices that were not confirmed for {UNCONFIRMED_DAYS} days: {', '.join(old)}"
        yield Level.FAULT, text, "chat-telemetry prices"
    if not unpriced and not old:
        yield Level.OK, f"{number(models, 'model')} of the last 30 days, each with a price", ""
