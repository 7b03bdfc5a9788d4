-- TRUNCATE shows the removed rows to no trigger, and row level security does not cover it. So the log refuses it, and
-- so do the tables that the triggers of the log and of auth.users fill.

set local lock_timeout = '5s';

create or replace function public.chat_telemetry_refuse_truncate()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception '%.% cannot be truncated: the reports would still count its rows', tg_table_schema, tg_table_name
    using hint = 'Use DELETE on public.chat_telemetry_log, which writes the change feed, or roll the migrations back.';
end
$$;

comment on function public.chat_telemetry_refuse_truncate() is
'Trigger function: refuses TRUNCATE, which does not show the removed rows to a trigger.';

call chat_rollups.make_private('function public.chat_telemetry_refuse_truncate()');

create or replace trigger trg_refuse_truncate
before truncate on public.chat_telemetry_log
for each statement execute function public.chat_telemetry_refuse_truncate();
