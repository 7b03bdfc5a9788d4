-- A rollback never destroys telemetry: a log with rows stays, and the rollback says so.

set lock_timeout = '5s';

do $$
begin
    if exists (select from public.chat_telemetry_log) then
        raise exception 'public.chat_telemetry_log has rows, and a rollback does not destroy them'
        using hint = 'Copy them out, then delete them: \copy public.chat_telemetry_log to log.csv csv header';
    end if;
end
$$;

drop table if exists public.chat_telemetry_log;
