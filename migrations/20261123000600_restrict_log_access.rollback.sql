-- Drops the policies and the grants. Row level security stays on, so that a rollback gives no role access to the log.

set local lock_timeout = '5s';

drop policy if exists service_role_selects on public.chat_telemetry_log;
drop policy if exists service_role_inserts on public.chat_telemetry_log;
drop policy if exists service_role_deletes on public.chat_telemetry_log;
drop policy if exists telemetry_writer_inserts on public.chat_telemetry_log;
drop policy if exists telemetry_transformer_selects on public.chat_telemetry_log;

revoke all on table public.chat_telemetry_log from service_role, telemetry_writer, telemetry_transformer;
