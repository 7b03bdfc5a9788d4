set local lock_timeout = '5s';

drop trigger if exists trg_feed_inserts on public.chat_telemetry_log;
drop trigger if exists trg_feed_updates_old on public.chat_telemetry_log;
drop trigger if exists trg_feed_updates_new on public.chat_telemetry_log;
drop trigger if exists trg_feed_deletes on public.chat_telemetry_log;

drop table if exists public.chat_telemetry_changes;
drop function if exists public.chat_telemetry_feed_changes();
