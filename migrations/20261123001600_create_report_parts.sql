-- The functions that make_report calls. Each one changes one thing of a report.

set local lock_timeout = '5s';

create or replace function chat_rollups.unique_index_of(report regclass)
returns regclass
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select indexrelid
    from pg_catalog.pg_index
    where indrelid = report and indisunique and indisvalid and indpred is null and indexprs is null
    limit 1
$$;

comment on function chat_rollups.unique_index_of is
'The unique index that a concurrent refresh of the report needs; null if it has none.';

create or replace function chat_rollups.refresh_report(report regclass)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    -- A concurrent refresh needs a unique index and a populated view. After a restore the view is not populated.
    if chat_rollups.unique_index_of(report) is not null
        and (select relispopulated from pg_catalog.pg_class where oid = report)
    then
        begin
            execute pg_catalog.format('refresh materialized view concurrently %s', report);
            return;
        exception when program_limit_exceeded then
            -- A name is too long for the unique index. While the name is in the report, readers wait for each refresh.
            execute pg_catalog.format('drop index %s', chat_rollups.unique_index_of(report));
        end;
    end if;
    execute pg_catalog.format('refresh materialized view %s', report);
end
$$;

comment on function chat_rollups.refresh_report is
'Refreshes a report, concurrently if possible.';

create or replace function chat_rollups.apply_settings(report regclass, settings jsonb)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    old_indexes regclass[];
    old_index regclass;
    wanted jsonb;
    column_name text;
    description text;
begin
    select pg_catalog.array_agg(indexrelid::regclass) into old_indexes
    from pg_catalog.pg_index where indrelid = report;
    for wanted in select * from pg_catalog.jsonb_array_elements(settings -> 'indexes') loop
        begin
            execute pg_catalog.format(
                'create %s index on %s (%s)',
                case when (wanted ->> 'unique')::boolean then 'unique' end,
                report,
                (
                    select pg_catalog.string_agg(pg_catalog.quote_ident(name), ', ')
                    from pg_catalog.jsonb_array_elements_text(wanted -> 'columns') as c (name)
                )
            );
        exception when program_limit_exceeded then
            raise notice 'a name in % is too long for an index', report;
        end;
    end loop;
    -- After the new indexes are made, so that the report always has its unique index.
    foreach old_index in array coalesce(old_indexes, '{}') loop
        execute pg_catalog.format('drop index %s', old_index);
    end loop;

    execute pg_catalog.format('comment on materialized view %s is %L', report, settings ->> 'description');
    for column_name, description in select * from pg_catalog.jsonb_each_text(settings -> 'columns') loop
        execute pg_catalog.format('comment on column %s.%I is %L', report, column_name, description);
    end loop;
    for column_name in select * from pg_catalog.jsonb_array_elements_text(settings -> 'without_statistics') loop
        execute pg_catalog.format('alter materialized view %s alter column %I set statistics 0', report, column_name);
    end loop;
end
$$;

comment on function chat_rollups.apply_settings is
'Creates the indexes and comments of a report, and turns statistics off for columns that hold ids or texts of users.';

create or replace function chat_rollups.exchange_report(report regclass, new_report regclass)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    report_name constant text := (select relname from pg_catalog.pg_class where oid = report);
    old_timeout constant text := pg_catalog.current_setting('lock_timeout');
    dependents text;
begin
    select pg_catalog.string_agg(distinct rule.ev_class::regclass::text, ', ') into dependents
    from pg_catalog.pg_depend as d
    inner join pg_catalog.pg_rewrite as rule on d.objid = rule.oid and d.classid = 'pg_catalog.pg_rewrite'::regclass
    where d.refobjid = report and rule.ev_class <> d.refobjid;
    if dependents is not null then
        raise exception 'the definition of % changed, but % depends on it', report, dependents
        using hint = 'Drop what depends on it, run dbt, create it again.';
    end if;

    -- A reader may hold a lock on the old report for long. While this session waits for the lock, new readers queue
    -- behind it. So each attempt is short.
    for attempt in 1..600 loop
        begin
            perform pg_catalog.set_config('lock_timeout', '50ms', true);
            execute pg_catalog.format('drop materialized view %s', report);
            exit;
        exception when lock_not_available then
            if attempt = 600 then
                raise exception 'could not replace %: it is read without a pause. Run dbt again later', report;
            end if;
            perform pg_catalog.pg_sleep(0.1);
        end;
    end loop;
    perform pg_catalog.set_config('lock_timeout', old_timeout, true);
    execute pg_catalog.format('alter materialized view %s rename to %I', new_report, report_name);
end
$$;

comment on function chat_rollups.exchange_report is
'Replaces a report by a new one. Raises an exception if other views depend on the old one.';

create or replace function chat_rollups.grant_report(report regclass, readers text[])
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    report_schema constant regnamespace := (select relnamespace from pg_catalog.pg_class where oid = report);
    reader text;
begin
    for reader in
        select distinct coalesce(pg_catalog.quote_ident(r.rolname), 'public')
        from pg_catalog.pg_class as c
        cross join pg_catalog.aclexplode(c.relacl) as granted
        left join pg_catalog.pg_roles as r on granted.grantee = r.oid
        where
            c.oid = report and granted.grantee <> c.relowner
            and not (granted.privilege_type = 'SELECT' and coalesce(r.rolname, 'public') = any(readers))
    loop
        execute pg_catalog.format('revoke all on %s from %s', report, reader);
    end loop;

    foreach reader in array readers loop
        if not pg_catalog.has_schema_privilege(reader, report_schema::oid, 'usage') then
            -- Two sessions that grant on the same schema at once would fail: tuple concurrently updated.
            perform pg_catalog.pg_advisory_xact_lock(
                'pg_catalog.pg_namespace'::regclass::integer, report_schema::oid::integer
            );
            execute pg_catalog.format('grant usage on schema %s to %I', report_schema, reader);
        end if;
        if not pg_catalog.has_table_privilege(reader, report, 'select') then
            execute pg_catalog.format('grant select on %s to %I', report, reader);
        end if;
    end loop;
end
$$;

comment on function chat_rollups.grant_report is
'Grants select on a report and usage on its schema to the readers, and revokes the report from every other role.';

call chat_rollups.make_private(
    'function chat_rollups.unique_index_of', 'function chat_rollups.refresh_report',
    'function chat_rollups.apply_settings', 'function chat_rollups.exchange_report',
    'function chat_rollups.grant_report'
);

grant execute on function
chat_rollups.unique_index_of,
chat_rollups.refresh_report,
chat_rollups.apply_settings,
chat_rollups.exchange_report,
chat_rollups.grant_report
to telemetry_transformer;
