-- The roles of the project. They cannot log in until an operator allows it: `alter role telemetry_reader login password
-- '...'`, or `create role grafana login in role telemetry_reader`. No role needs superuser or BYPASSRLS.

do $$
declare
    role_name text;
begin
    foreach role_name in array array[
        'service_role',          -- inserts, selects and deletes rows of the log; Supabase has this role
        'telemetry_writer',      -- chat code: inserts into the log; the next migration grants what an insert needs
        'telemetry_transformer', -- runs dbt
        'telemetry_reader'       -- reads the reports
    ] loop
        if not exists (select from pg_catalog.pg_roles where rolname = role_name) then
            execute pg_catalog.format('create role %I nologin', role_name);
        end if;
    end loop;
end
$$;
