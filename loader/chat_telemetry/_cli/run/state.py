"""What a run depends on, asked from the database in two short queries."""

from __future__ import annotations

from typing import LiteralString, NamedTuple

import psycopg

from chat_telemetry._cli.options import transaction

# Asked alone: with a distributed table in it, Citus could not run the other query, which has rows as values.
HAS_CHANGES: LiteralString = "select exists (select 1 from public.chat_telemetry_changes)"
# The time zone of the last run: another one needs a full refresh.
STATE: LiteralString = """
with own_progress as (
    select
        jsonb_agg(to_jsonb(p) order by p.name) as rollups,
        max(p.report_timezone) filter (where p.name = 'daily_requests') as timezone
    from chat_rollups.progress as p
)

select
    -- Somebody ran a part of the project.
    exists (
        select from chat_rollups.progress as r
        inner join chat_rollups.progress as d on d.name = 'drained_changes'
        where
            r.name <> 'price_periods'
            and (r.drain_number is distinct from d.drain_number or r.as_of is distinct from d.as_of)
    )
    -- A restored dump.
    or exists (
        select from chat_rollups.report_state as r
        inner join pg_matviews as v on v.schemaname = 'chat_reports' and r.report = v.matviewname
        where not v.ispopulated
    )
    or exists (
        select from chat_rollups.report_state as r
        inner join chat_rollups.progress as d on d.name = 'drained_changes'
        cross join lateral jsonb_each(r.made_from - 'as_of') as rollup (name, state)
        inner join chat_rollups.progress as p on rollup.name = p.name
        where
            to_regclass(format('chat_reports.%I', r.report)) is not null
            and (
                rollup.state is distinct from jsonb_build_array(p.revision, p.report_timezone)
                or r.made_from ->> 'as_of' is distinct from d.as_of::text
            )
    ),
    concat_ws(
        ' ',
        (now() at time zone coalesce(own_progress.timezone, 'UTC'))::date,
        (select md5(string_agg(o::text, e'\\n' order by o.model, o.valid_from)) from chat_rollups.own_prices as o),
        (select md5(string_agg(t::text, e'\\n' order by t::text collate "C")) from chat_prices.token_prices as t),
        (select md5(string_agg(a::text, e'\\n' order by a::text collate "C")) from chat_prices.model_aliases as a)
    ),
    concat_ws(
        ' ',
        md5(own_progress.rollups::text),
        (
            select md5(string_agg(concat_ws(' ', r.query_md5, r.settings_md5, r.made_from), e'\\n' order by r.report))
            from chat_rollups.report_state as r
            where to_regclass(format('chat_reports.%I', r.report)) is not null
        ),
        (
            select md5(string_agg(concat_ws(
                ' ', c.relname, c.relacl,
                (select count(*) from pg_index as i where i.indrelid = c.oid and i.indisunique and i.indisvalid)
            ), e'\\n' order by c.relname))
            from pg_class as c
            where c.relnamespace = 'chat_reports'::regnamespace and c.relkind = 'm'
        )
    )
from own_progress
"""


class State(NamedTuple):
    """What a run reads and what it left. If nothing of it changed since the last run, a run has nothing to do."""

    has_changes: bool
    """Whether changes wait in the feed, a rollup or a report has not followed, or a report has no rows yet."""
    inputs: str
    """The day, and the prices."""
    results: str
    """What was counted, the definitions of the reports that exist, and by whom they can be read."""


def read_state(connection: psycopg.Connection) -> State:
    """Raises psycopg.Error, UndefinedTable among them before the first `dbt seed`."""
    with transaction(connection):
        ((has_changes,),) = connection.execute(HAS_CHANGES).fetchall()
        ((has_not_followed, inputs, results),) = connection.execute(STATE).fetchall()
    return State(has_changes or has_not_followed, inputs, results)
