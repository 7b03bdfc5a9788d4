-- The schemas of dbt. chat_reports has the reports. chat_rollups has the tables from which they are made: migrations
-- create these tables, dbt fills them. chat_prices has the price lists.

set lock_timeout = '5s';

create schema if not exists chat_reports;
create schema if not exists chat_rollups;
create schema if not exists chat_prices;

comment on schema chat_reports is 'The reports of chat-telemetry, for reading.';
comment on schema chat_rollups is 'The tables from which the reports of chat-telemetry are made: not for reading.';
comment on schema chat_prices is 'The price lists of chat-telemetry, loaded by dbt seed.';

revoke all on schema chat_reports, chat_rollups, chat_prices
from public, service_role, telemetry_writer, telemetry_reader;

-- A default privilege may have granted the new schemas to Supabase's user-facing roles.
do $$
declare
    role_name name;
begin
    for role_name in
        select rolname from pg_catalog.pg_roles where rolname in ('anon', 'authenticated')
    loop
        execute pg_catalog.format('revoke all on schema chat_reports, chat_rollups, chat_prices from %I', role_name);
    end loop;
end
$$;

-- With grant option, so that dbt can grant usage on the schema to the roles that a report names in its `grants`.
grant usage, create on schema chat_reports to telemetry_transformer with grant option;
grant usage, create on schema chat_prices to telemetry_transformer;
grant usage on schema chat_rollups to telemetry_transformer;
grant usage on schema chat_reports to telemetry_reader;
