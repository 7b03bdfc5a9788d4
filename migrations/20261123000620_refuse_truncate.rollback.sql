set local lock_timeout = '5s';

drop trigger if exists trg_refuse_truncate on public.chat_telemetry_log;
drop function if exists public.chat_telemetry_refuse_truncate();
