-- Row level security on the log, without a policy for users: telemetry_writer inserts; service_role inserts, selects
-- and deletes; telemetry_transformer selects. The policies name the roles, so none of them needs BYPASSRLS.

set lock_timeout = '5s';

alter table public.chat_telemetry_log enable row level security;

revoke all on table public.chat_telemetry_log
from public, service_role, telemetry_writer, telemetry_transformer, telemetry_reader;
revoke all on function public.compute_sql_fingerprint() from public, service_role;

-- Supabase's default privileges grant everything in public to its two user-facing roles.
do $$
declare
    role_name name;
begin
    for role_name in
        select rolname from pg_catalog.pg_roles where rolname in ('anon', 'authenticated')
    loop
        execute pg_catalog.format('revoke all on table public.chat_telemetry_log from %I', role_name);
        execute pg_catalog.format('revoke all on function public.compute_sql_fingerprint() from %I', role_name);
    end loop;
end
$$;

grant select, insert, delete on table public.chat_telemetry_log to service_role;
grant insert on table public.chat_telemetry_log to telemetry_writer;
-- The columns that the models read: no question, no response, no error message.
grant select (
    log_id, user_id, created_at, generated_sql, sql_fingerprint, result_row_count, error_type, failed_step,
    is_off_topic, sql_model, response_model, nl_to_sql_duration_ms, sql_execution_duration_ms,
    response_generation_duration_ms, ttfb_ms, sql_input_tokens, sql_output_tokens, sql_cached_tokens,
    response_input_tokens, response_output_tokens, response_cached_tokens
) on table public.chat_telemetry_log to telemetry_transformer;

drop policy if exists service_role_selects on public.chat_telemetry_log;
create policy service_role_selects on public.chat_telemetry_log
for select to service_role using (true);

drop policy if exists service_role_inserts on public.chat_telemetry_log;
create policy service_role_inserts on public.chat_telemetry_log
for insert to service_role with check (true);

drop policy if exists service_role_deletes on public.chat_telemetry_log;
create policy service_role_deletes on public.chat_telemetry_log
for delete to service_role using (true);

drop policy if exists telemetry_writer_inserts on public.chat_telemetry_log;
create policy telemetry_writer_inserts on public.chat_telemetry_log
for insert to telemetry_writer with check (true);

drop policy if exists telemetry_transformer_selects on public.chat_telemetry_log;
create policy telemetry_transformer_selects on public.chat_telemetry_log
for select to telemetry_transformer using (true);
