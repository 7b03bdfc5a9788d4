-- Where dbt works: chat_reports holds what is read, chat_tallies what the reports are made from.
-- telemetry_transformer may create in both and pass the use on; telemetry_reader reaches the reports only.

set lock_timeout = '5s';

create schema if not exists chat_reports;
create schema if not exists chat_tallies;

comment on schema chat_reports is 'The reports of chat-telemetry: read these.';
comment on schema chat_tallies is 'What the reports of chat-telemetry are made from: not for reading.';

revoke all on schema chat_reports, chat_tallies from public;

-- A default privilege may have granted the new schemas to Supabase's user-facing roles.
do $$
declare
    role_name name;
begin
    for role_name in
        select rolname from pg_catalog.pg_roles where rolname in ('anon', 'authenticated')
    loop
        execute pg_catalog.format('revoke all on schema chat_reports, chat_tallies from %I', role_name);
    end loop;
end
$$;

grant usage, create on schema chat_reports, chat_tallies to telemetry_transformer with grant option;
grant usage on schema chat_reports to telemetry_reader;
