-- When each report was refreshed last, for an alert to watch. The view is made here and not by dbt, which would replace
-- it at every run and drop, with cascade, what users built on it.

set lock_timeout = '5s';

create table if not exists chat_tallies.report_refreshes (
    report text not null,
    refreshed_at timestamptz not null,
    newest_request_at timestamptz,
    constraint report_refreshes_pkey primary key (report)
);

comment on table chat_tallies.report_refreshes is
'One row per report, written with each refresh.';

create or replace view chat_reports.report_freshness as
select
    report,
    refreshed_at,
    newest_request_at,
    (select pg_catalog.count(*) from public.chat_telemetry_changes) as pending_changes
from chat_tallies.report_refreshes;

comment on view chat_reports.report_freshness is
'How fresh is each report? One row per report; pending_changes is the same in every row: never sum it.';
comment on column chat_reports.report_freshness.report is
'The report, by the name of its view in chat_reports.';
comment on column chat_reports.report_freshness.refreshed_at is
'When the report was refreshed last.';
comment on column chat_reports.report_freshness.newest_request_at is
'Time of the newest chat request that was in the log then.';
comment on column chat_reports.report_freshness.pending_changes is
'Changed rows of the log that the next run has yet to count.';

revoke all on table chat_tallies.report_refreshes from public, service_role, telemetry_reader;
revoke all on table chat_reports.report_freshness from public, service_role, telemetry_transformer;

grant select, insert, update, delete on table chat_tallies.report_refreshes to telemetry_transformer;
grant select on table chat_reports.report_freshness to telemetry_reader, telemetry_transformer;
