-- The checks with which the run functions begin. Each check stops a dbt run that would make a number wrong, and says
-- what to do.

set local lock_timeout = '5s';

create or replace function chat_rollups.assert_owner(target_schema text)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    owner text := (select p.owner from chat_rollups.progress as p where p.name = 'drained_changes');
begin
    if owner <> target_schema then
        raise exception 'the reports of this database belong to the dbt target schema "%", not to "%"',
            owner, target_schema
        using hint = pg_catalog.format(
            'Develop on another database. To hand the reports over: chat-telemetry migrate --owner %s', target_schema
        );
    end if;
end
$$;

comment on function chat_rollups.assert_owner is
'Raises an exception if the dbt target schema is not the feed owner: only the feed owner fills the rollups and the reports.';

create or replace function chat_rollups.hand_over(new_owner text)
returns text
language sql
set search_path = pg_catalog, pg_temp
as $$
    -- The drain locks the same row, so a running drain commits first.
    update chat_rollups.progress set owner = new_owner where name = 'drained_changes' returning owner
$$;

comment on function chat_rollups.hand_over is
'Makes a dbt target schema the feed owner. `chat-telemetry migrate --owner SCHEMA` calls it.';

-- Row level security hides rows and raises no error. A report on half of the log would look like a quiet day.
create or replace function chat_rollups.assert_log_is_visible()
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    log_table constant regclass := pg_catalog.to_regclass('public.chat_telemetry_log');
    sees_every_row boolean;
begin
    if log_table is null then
        raise exception 'the table public.chat_telemetry_log does not exist in this database: run chat-telemetry migrate';
    end if;
    select
        pg_catalog.has_any_column_privilege(log_table, 'select')
        and (
            not pg_catalog.row_security_active(log_table)
            or (
                coalesce(pg_catalog.bool_or(polpermissive and pg_catalog.pg_get_expr(polqual, polrelid) = 'true'), false)
                and not coalesce(pg_catalog.bool_or(not polpermissive), false)
            )
        )
    into sees_every_row
    from pg_catalog.pg_policy
    where
        polrelid = log_table
        and polcmd in ('r', '*')
        and exists (
            select from pg_catalog.unnest(polroles) as applies (role_oid)
            where role_oid = 0 or pg_catalog.pg_has_role(role_oid, 'usage')
        );
    if not sees_every_row then
        raise exception 'the role % cannot read every row of % (row level security, or no grant)', current_user, log_table
        using hint = 'Let dbt log in as telemetry_transformer, which the migrations give a policy for all rows.';
    end if;
end
$$;

comment on function chat_rollups.assert_log_is_visible is
'Raises an exception if the role cannot read every row of the log.';

-- A new column needs a migration and a new version of the dbt project. With only one of the two, its values would be
-- lost.
create or replace function chat_rollups.assert_columns(relation regclass, columns text[])
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    differences text;
begin
    select
        pg_catalog.string_agg(
            pg_catalog.format(
                '%s %s', coalesce(a.attname, project.name),
                case when project.name is null then 'is missing in the dbt project' else 'is missing in the database' end
            ), ', '
        )
    into differences
    from (
        select attname
        from pg_catalog.pg_attribute
        where attrelid = relation and attnum > 0 and not attisdropped
    ) as a
    full join pg_catalog.unnest(columns) as project (name) on a.attname = project.name
    where a.attname is null or project.name is null;

    if differences is not null then
        raise exception '% and the dbt project differ: column %', relation, differences
        using hint = 'Run chat-telemetry migrate and dbt of the same version of chat-telemetry.';
    end if;
end
$$;

comment on function chat_rollups.assert_columns is
'Raises an exception if the columns of a table differ from those that the dbt project documents.';

create or replace function chat_rollups.assert_tables_have_rows(table_names text[])
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    table_name text;
    has_rows boolean;
begin
    foreach table_name in array table_names loop
        if pg_catalog.to_regclass(table_name) is null then
            raise exception 'the table % does not exist: run dbt seed', table_name;
        end if;
        execute pg_catalog.format('select exists (select from %s)', table_name::regclass) into has_rows;
        if not has_rows then
            raise exception 'the table % is empty: run dbt seed', table_name;
        end if;
    end loop;
end
$$;

comment on function chat_rollups.assert_tables_have_rows is
'Raises an exception if a price list is not loaded.';

call chat_rollups.make_private(
    'function chat_rollups.assert_owner', 'function chat_rollups.hand_over',
    'function chat_rollups.assert_log_is_visible', 'function chat_rollups.assert_columns',
    'function chat_rollups.assert_tables_have_rows'
);

-- telemetry_transformer may not call hand_over: only the role that migrates hands the feed over.
grant execute on function
chat_rollups.assert_owner,
chat_rollups.assert_log_is_visible,
chat_rollups.assert_columns,
chat_rollups.assert_tables_have_rows
to telemetry_transformer;
