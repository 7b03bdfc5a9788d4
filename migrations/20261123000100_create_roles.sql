-- The roles of the project. They cannot log in until an operator allows it: `alter role telemetry_reader login` and
-- psql's `\password telemetry_reader`, or `create role grafana login in role telemetry_reader`. No role needs superuser
-- or BYPASSRLS.

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

-- `chat-telemetry report` reads as telemetry_reader, whatever the login. So the role that migrates may set this role.
-- It does not inherit its rights, except on PostgreSQL 15, which has no such options. A superuser may set every role.
do $$
declare
    has_options constant boolean := pg_catalog.current_setting('server_version_num')::integer >= 160000;
    may_set constant text := case when has_options then 'set' else 'member' end;
    options constant text := case when has_options then ' with set true, inherit false' else '' end;
    statement constant text := pg_catalog.format('grant telemetry_reader to %I%s', current_user, options);
begin
    if not pg_catalog.pg_has_role(current_user, 'telemetry_reader', may_set) then
        execute statement;
    end if;
exception when insufficient_privilege then
    raise warning '% may not read the reports as telemetry_reader', current_user
    using hint = pg_catalog.format('The creator of telemetry_reader, or a superuser, can allow it: %s;', statement);
end
$$;
