-- Row level security on the log, without a policy for users: telemetry_writer inserts; service_role inserts, selects
-- and deletes; telemetry_transformer selects. The policies name the roles, so none of them needs BYPASSRLS.

set local lock_timeout = '5s';

-- A log that is older than the project may have other rights and policies. They are revoked and dropped, unless the
-- setting chat_telemetry.keep_rights is on: then every role keeps what it could do. If this file is applied again, what
-- was granted since then stays.
do $$
declare
    log_table constant regclass := 'public.chat_telemetry_log'::regclass;
    had_row_security constant boolean := (select relrowsecurity from pg_catalog.pg_class where oid = log_table);
    is_restricted constant boolean := exists (
        select from pg_catalog.pg_policy where polrelid = log_table and polname = 'telemetry_transformer_selects'
    );
    keeps constant boolean := coalesce(pg_catalog.current_setting('chat_telemetry.keep_rights', true) = 'on', false);
    grantees text;
    policy record;
begin
    if is_restricted then
        return;
    end if;

    select pg_catalog.string_agg(
        distinct case r.grantee when 0 then 'public' else r.grantee::pg_catalog.regrole::text end, ', '
    )
    into grantees
    from chat_rollups.owner_and_rights('table public.chat_telemetry_log') as o
    cross join pg_catalog.aclexplode(o.rights) as r
    where r.grantee <> o.owner;

    if not keeps or not had_row_security then
        for policy in select polname from pg_catalog.pg_policy where polrelid = log_table loop
            if keeps then
                raise warning 'the policy % of public.chat_telemetry_log was dropped: it had no effect before', policy.polname;
            end if;
            execute pg_catalog.format('drop policy %I on public.chat_telemetry_log', policy.polname);
        end loop;
    end if;

    if not keeps then
        call chat_rollups.make_private('table public.chat_telemetry_log');
    elsif not had_row_security then
        -- Without a policy their rights would have no effect. The two roles have rights on all tables without a grant.
        execute pg_catalog.format(
            'create policy kept_rights on public.chat_telemetry_log to %s using (true) with check (true)',
            pg_catalog.concat_ws(', ', grantees, 'pg_read_all_data', 'pg_write_all_data')
        );
    end if;
end
$$;

alter table public.chat_telemetry_log enable row level security;

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
