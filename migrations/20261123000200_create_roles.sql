-- The roles of the reporting side, beside service_role, which writes. They cannot log in until an operator lets them:
-- `alter role telemetry_reader login password '...'`, or `create role grafana login in role telemetry_reader`.

do $$
declare
    role_name text;
begin
    foreach role_name in array array['telemetry_transformer', 'telemetry_reader'] loop
        if not exists (select from pg_catalog.pg_roles where rolname = role_name) then
            execute pg_catalog.format('create role %I nologin', role_name);
        end if;
    end loop;
end
$$;
