-- A rollback never deletes telemetry: if the log has rows, it stays, and the rollback raises an exception.

set local lock_timeout = '5s';
-- Rows that row level security hides from the owner are an error then.
set local row_security = off;

do $$
begin
    if pg_catalog.to_regclass('public.chat_telemetry_log') is null then
        return;
    end if;
    lock table public.chat_telemetry_log in access exclusive mode;
    if exists (select 1 from public.chat_telemetry_log) then
        raise exception 'public.chat_telemetry_log has rows, and a rollback does not delete them'
        using hint = 'Copy the rows to a file, then delete them: \copy public.chat_telemetry_log to log.csv csv header';
    end if;
end
$$;

drop table if exists public.chat_telemetry_log;
