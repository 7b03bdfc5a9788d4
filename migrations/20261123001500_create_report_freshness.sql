-- What is recorded about each report: what it was made from, and how fresh it is.

set local lock_timeout = '5s';

create table if not exists chat_rollups.report_state (
    report text not null,
    query_md5 text,
    settings_md5 text,
    made_from jsonb,
    refreshed_at timestamptz,
    as_of date,
    report_timezone text,
    newest_request_at timestamptz,
    future_request_count bigint,
    left_out_count bigint,
    constraint report_state_pkey primary key (report)
);

comment on table chat_rollups.report_state is
'One row per report: what the report was made from, so that a run refreshes it only if something changed, and what report_freshness shows.';
comment on column chat_rollups.report_state.report is
'The report, by the name of its view in chat_reports.';
comment on column chat_rollups.report_state.query_md5 is
'md5 of the query of the report.';
comment on column chat_rollups.report_state.settings_md5 is
'md5 of the indexes, the comments and the columns without statistics.';
comment on column chat_rollups.report_state.made_from is
'The revision and the time zone of each rollup that the report reads, and the last day.';

-- Security definer, so that readers need no privilege on the feed.
create or replace function chat_rollups.pending_changes()
returns bigint
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as 'select pg_catalog.count(*) from public.chat_telemetry_changes';

comment on function chat_rollups.pending_changes is
'The number of changes in the feed.';

create or replace function chat_rollups.left_out_count(rollups text[])
returns bigint
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select
        (
            select coalesce(pg_catalog.sum(request_count), 0)
            from chat_rollups.daily_requests
            -- Behind a horizon, what was counted of these days stays, but their requests are pruned.
            where
                day < '2000-01-01'
                and not exists (select from chat_rollups.progress where horizon is not null)
        )::bigint
        + (
            select coalesce(pg_catalog.sum(last_30_days), 0)
            from chat_rollups.window_durations
            where duration_ms < 0 and 'window_durations' = any(rollups)
        )
$$;

comment on function chat_rollups.left_out_count is
'The number of requests before the year 2000 and, for a report on durations, of negative durations in the last 30 days: no report counts them.';

create or replace function chat_rollups.rollup_state(rollups text[])
returns jsonb
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    uncounted text;
    state jsonb;
begin
    select
        pg_catalog.string_agg(name, ', ' order by name) filter (where drain_number is null),
        pg_catalog.jsonb_object_agg(name, pg_catalog.jsonb_build_array(revision, report_timezone))
    into uncounted, state
    from chat_rollups.progress
    where name = any(rollups);
    if uncounted is not null then
        raise exception 'these rollups have not counted the log yet: %. Run dbt without --select', uncounted;
    end if;

    select coalesce(state, '{}') || pg_catalog.jsonb_build_object('as_of', as_of) into state
    from chat_rollups.progress
    where name = 'drained_changes';
    return state;
end
$$;

comment on function chat_rollups.rollup_state is
'The revisions of rollups and the last day. While they stay the same, a report that is made from the rollups is up to date.';

create or replace function chat_rollups.confirm_reports()
returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
    update chat_rollups.report_state
    set
        refreshed_at = pg_catalog.now(),
        newest_request_at = (
            select pg_catalog.max(created_at) from public.chat_telemetry_log where created_at <= pg_catalog.now()
        ),
        future_request_count = (
            select pg_catalog.count(*) from public.chat_telemetry_log where created_at > pg_catalog.now()
        )
    -- A run that holds the lock on a row sets them itself.
    where report in (
        select s.report from chat_rollups.report_state as s
        inner join pg_catalog.pg_matviews as v on v.schemaname = 'chat_reports' and s.report = v.matviewname
        where s.refreshed_at is not null and v.ispopulated
        for update of s skip locked
    )
$$;

comment on function chat_rollups.confirm_reports is
'Records that the reports are up to date. `chat-telemetry run` calls it if nothing changed since its last dbt run.';

create or replace view chat_reports.report_freshness as
select
    report,
    refreshed_at,
    as_of,
    report_timezone,
    newest_request_at,
    (select chat_rollups.pending_changes()) as pending_changes,
    future_request_count,
    left_out_count
from chat_rollups.report_state
where refreshed_at is not null;

comment on view chat_reports.report_freshness is
'How fresh is each report? One row per report. pending_changes and future_request_count are the same in every row, and left_out_count overlaps: never sum them.';
comment on column chat_reports.report_freshness.report is
'The report, by the name of its view in chat_reports.';
comment on column chat_reports.report_freshness.refreshed_at is
'When a run last refreshed the report, or found that it was up to date.';
comment on column chat_reports.report_freshness.as_of is
'The last day that the report counts.';
comment on column chat_reports.report_freshness.report_timezone is
'The time zone of the days of the report.';
comment on column chat_reports.report_freshness.newest_request_at is
'The time of the newest chat request in the log at refreshed_at, without those in the future.';
comment on column chat_reports.report_freshness.pending_changes is
'Changes of the log that the next run will count, as of now.';
comment on column chat_reports.report_freshness.future_request_count is
'Chat requests with a time in the future, written by a wrong clock. No report counts them before their day.';
comment on column chat_reports.report_freshness.left_out_count is
'Chat requests that the report leaves out: those from before 2000 and, in latency and model_comparison, negative durations of the last 30 days.';

call chat_rollups.make_private(
    'table chat_rollups.report_state', 'table chat_reports.report_freshness',
    'function chat_rollups.pending_changes', 'function chat_rollups.left_out_count',
    'function chat_rollups.rollup_state', 'function chat_rollups.confirm_reports'
);

grant execute on function
chat_rollups.pending_changes,
chat_rollups.left_out_count,
chat_rollups.rollup_state,
chat_rollups.confirm_reports
to telemetry_transformer;

grant execute on function chat_rollups.pending_changes to telemetry_reader;
grant select, insert, update, delete on table chat_rollups.report_state to telemetry_transformer;
grant select on table chat_reports.report_freshness to telemetry_reader, telemetry_transformer;
