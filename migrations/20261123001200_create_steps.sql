-- The steps of a dbt run: drain the feed, fill a rollup. Each is one function call, so that it is done as a whole or
-- not at all, whatever transactions the client makes and whenever it is killed.
--
-- Every step first locks its own row of chat_rollups.progress and reads what to do after that: of two runs at once the
-- second one waits, and then finds less to do, or nothing.

set lock_timeout = '5s';

create or replace function chat_rollups.assert_owner(run_by text)
returns void
language plpgsql
stable
set search_path = ''
as $$
declare
    owner text := (select p.owner from chat_rollups.progress as p where p.name = 'drained_changes');
begin
    if owner <> run_by then
        raise exception 'the reports of this database belong to the dbt target schema "%", not to "%"', owner, run_by
        using hint = pg_catalog.format(
            'Develop on a database of your own. To hand the reports over: chat-telemetry migrate --owner %s', run_by
        );
    end if;
end
$$;

comment on function chat_rollups.assert_owner(text) is
'Stops a dbt target that is not the owner of the feed: its changes would be missing in the owner''s reports.';

create or replace function chat_rollups.hand_over(new_owner text)
returns text
language sql
set search_path = ''
as $$
    -- The drain locks the same row: a run in progress ends its drain first.
    update chat_rollups.progress set owner = new_owner where name = 'drained_changes' returning owner
$$;

comment on function chat_rollups.hand_over(text) is
'Makes a dbt target schema the owner of the feed. Behind `chat-telemetry migrate --owner SCHEMA`.';

-- Row level security hides rows without an error, and a report on half a log looks like a quiet day.
create or replace function chat_rollups.assert_log_is_visible()
returns void
language plpgsql
stable
set search_path = ''
as $$
declare
    log_table constant regclass := pg_catalog.to_regclass('public.chat_telemetry_log');
    sees_every_row boolean;
begin
    if log_table is null then
        raise exception 'there is no table public.chat_telemetry_log in this database: run chat-telemetry migrate';
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
        raise exception 'the role % does not see every row of % (row level security, or no grant)', current_user, log_table
        using hint = 'Let dbt log in as telemetry_transformer, with a policy that shows all rows.';
    end if;
end
$$;

comment on function chat_rollups.assert_log_is_visible() is
'Stops a role that row level security would show a part of the log.';

-- A new column comes by a migration and a new version of the dbt project. With only one of the two, its values would
-- be lost.
create or replace function chat_rollups.assert_columns(relation regclass, columns text[])
returns void
language plpgsql
stable
set search_path = ''
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

comment on function chat_rollups.assert_columns(regclass, text[]) is
'Stops a step if the columns of its table are not those that the dbt project documents.';

create or replace function chat_rollups.assert_tables_have_rows(table_names text[])
returns void
language plpgsql
stable
set search_path = ''
as $$
declare
    table_name text;
    has_rows boolean;
begin
    foreach table_name in array table_names loop
        if pg_catalog.to_regclass(table_name) is null then
            raise exception 'there is no table %: run dbt seed', table_name;
        end if;
        execute pg_catalog.format('select exists (select from %s)', table_name::regclass) into has_rows;
        if not has_rows then
            raise exception 'the table % is empty: run dbt seed', table_name;
        end if;
    end loop;
end
$$;

comment on function chat_rollups.assert_tables_have_rows(text[]) is
'Stops a step that reads price lists which were not loaded.';

create or replace function chat_rollups.label_names(relation regclass)
returns void
language plpgsql
set search_path = ''
as $$
begin
    -- In order, because two sessions that add the same names in another order would wait for each other.
    execute pg_catalog.format(
        'insert into chat_rollups.labels (label)
        select names.label
        from (select distinct error_type, failed_step, sql_model, response_model from %s) as requests
        cross join lateral (
            values (error_type), (failed_step), (sql_model), (response_model)
        ) as names (label)
        where names.label is not null
        group by names.label
        having not exists (select from chat_rollups.labels as known where known.label = names.label)
        order by names.label
        on conflict do nothing', relation
    );
end
$$;

comment on function chat_rollups.label_names(regclass) is
'Adds a label for each name in the log or in the feed that has none.';

create or replace function chat_rollups.forget_counted_changes()
returns void
language plpgsql
set search_path = ''
as $$
declare
    counted_by_all constant bigint := (
        -- One that never counted is not waited for: it will count the log.
        select pg_catalog.min(drain_number)
        from chat_rollups.progress
        where name not in ('drained_changes', 'price_periods')
    );
begin
    if not exists (select from chat_rollups.drained_changes where drain_number <= counted_by_all) then
        return;
    end if;
    -- One session at a time: two that delete the same rows could wait for each other.
    perform from chat_rollups.progress where name = 'drained_changes' for update skip locked;
    if found then
        delete from chat_rollups.drained_changes where drain_number <= counted_by_all;
    end if;
end
$$;

comment on function chat_rollups.forget_counted_changes() is
'Deletes the drained changes that every rollup has counted.';

create or replace function chat_rollups.drain(columns text[], run_by text, last_day date)
returns text
language plpgsql
set search_path = ''
as $$
declare
    drained bigint;
begin
    perform chat_rollups.assert_log_is_visible();
    perform chat_rollups.assert_columns('chat_rollups.drained_changes', columns);
    perform chat_rollups.assert_columns(
        'public.chat_telemetry_changes', pg_catalog.array_remove(columns, 'drain_number') || array['log_id']
    );
    -- Locked until the commit, so drains are numbered in the order in which they become visible.
    perform from chat_rollups.progress where name = 'drained_changes' for update;
    perform chat_rollups.assert_owner(run_by);
    perform chat_rollups.forget_counted_changes();
    perform chat_rollups.label_names('public.chat_telemetry_changes');
    if exists (select from chat_rollups.progress where drain_number is null) then
        -- Rollups will count the log next. If each of them had to add the labels, they would wait for each other.
        perform chat_rollups.label_names('public.chat_telemetry_log');
    end if;

    -- A change that commits now and brings a new name has no label yet. It stays in the feed until the next drain.
    with drained as (
        delete from public.chat_telemetry_changes as changes
        using
            chat_rollups.labels as error_type,
            chat_rollups.labels as failed_step,
            chat_rollups.labels as sql_model,
            chat_rollups.labels as response_model
        where
            error_type.label = coalesce(changes.error_type, '')
            and failed_step.label = coalesce(changes.failed_step, '')
            and sql_model.label = coalesce(changes.sql_model, '')
            and response_model.label = coalesce(changes.response_model, '')
        returning
            changes.*,
            error_type.id as error_type_id,
            failed_step.id as failed_step_id,
            sql_model.id as sql_model_id,
            response_model.id as response_model_id
    )

    insert into chat_rollups.drained_changes (
        drain_number, sign, is_off_topic, error_type, failed_step, sql_model, response_model, created_at, user_id,
        nl_to_sql_duration_ms, sql_execution_duration_ms, response_generation_duration_ms, ttfb_ms,
        sql_input_tokens, sql_output_tokens, sql_cached_tokens,
        response_input_tokens, response_output_tokens, response_cached_tokens
    )
    select
        progress.drain_number + 1, sign, is_off_topic, error_type_id, failed_step_id, sql_model_id, response_model_id,
        created_at, user_id,
        nl_to_sql_duration_ms, sql_execution_duration_ms, response_generation_duration_ms, ttfb_ms,
        sql_input_tokens, sql_output_tokens, sql_cached_tokens,
        response_input_tokens, response_output_tokens, response_cached_tokens
    from drained
    inner join chat_rollups.progress on progress.name = 'drained_changes';
    get diagnostics drained = row_count;

    -- Nothing is written where nothing changed.
    update chat_rollups.progress as p
    set
        drain_number = p.drain_number + (drained > 0)::integer,
        revision = p.revision + 1,
        as_of = last_day,
        owner = run_by
    where p.name = 'drained_changes' and (drained > 0 or p.as_of is distinct from last_day or p.owner is null);
    return pg_catalog.format('%s changes drained', drained);
end
$$;

comment on function chat_rollups.drain(text[], text, date) is
'Moves the feed to drained_changes under the next drain number and records the last day. `columns`: those that the dbt project knows.';

create or replace function chat_rollups.each_column(columns text[], template text, separator text)
returns text
language sql
immutable
set search_path = ''
as $$
    select pg_catalog.string_agg(pg_catalog.format(template, name), separator order by place)
    from pg_catalog.unnest(columns) with ordinality as c (name, place)
$$;

comment on function chat_rollups.each_column(text[], text, text) is
'The template, an expression with %s for a column, once for each column.';

create or replace function chat_rollups.query_md5(query text)
returns text
language sql
stable
set search_path = ''
as $$
    select pg_catalog.md5(pg_catalog.replace(query, pg_catalog.format('"%s".', pg_catalog.current_database()), ''))
$$;

comment on function chat_rollups.query_md5(text) is
'Tells queries of models apart. Without the name of the database: a copy under another name has the same query.';

-- Fills a rollup from its model, a query that reads the changes to count from a CTE named drained_changes.
--
-- The table says the rest: its primary key is the key, and its other columns are what is counted.
create or replace function chat_rollups.fill(
    rollup regclass,
    query text,
    columns text[],
    run_by text,
    timezone text,
    full_refresh boolean,
    follows text default null,
    replaces boolean default false,
    lists_everything boolean default false,
    price_lists text[] default '{}'
)
returns text
language plpgsql
set search_path = ''
set standard_conforming_strings = on
set jit = off
as $$
declare
    rollup_name constant text := (select relname from pg_catalog.pg_class where oid = rollup);
    mine chat_rollups.progress;
    source chat_rollups.progress;
    is_rebuild boolean;
    changes text;
    keys text[];
    counts text[];
    is_zero text;
    has_rows boolean;
    on_conflict text;
    emptied tid[];
    written bigint;
begin
    perform chat_rollups.assert_columns(rollup, columns);
    select * into strict mine from chat_rollups.progress where name = rollup_name for update;
    perform chat_rollups.assert_owner(run_by);
    perform chat_rollups.assert_tables_have_rows(price_lists);

    -- For share: a rebuild reads the log and the feed, so no drain may take changes from the feed meanwhile.
    select * into strict source from chat_rollups.progress
    where name = coalesce(follows, 'drained_changes') for share;
    if source.drain_number is null then
        raise exception 'chat_rollups.% has not been counted yet: run dbt without --select', follows;
    end if;
    is_rebuild := full_refresh or lists_everything or mine.drain_number is null
        or (
            follows is not null
            and (mine.generation <> source.generation or mine.query_md5 is distinct from chat_rollups.query_md5(query))
        );
    if not is_rebuild and mine.report_timezone <> timezone then
        raise exception '% was counted in time zone %, not in %', rollup, mine.report_timezone, timezone
        using hint = 'To count the log by the days of the new time zone: dbt run --full-refresh';
    end if;
    if not is_rebuild and mine.drain_number = source.drain_number and mine.as_of is not distinct from source.as_of then
        return 'nothing new';
    end if;

    if not is_rebuild then
        changes := pg_catalog.format(
            'select * from chat_rollups.drained_changes where drain_number > %s and drain_number <= %s',
            mine.drain_number, source.drain_number
        );
    elsif follows is not null or lists_everything then
        changes := 'select * from chat_rollups.drained_changes where false';
    else
        perform chat_rollups.assert_log_is_visible();
        if mine.drain_number is not null or source.as_of is null then  -- before a first count, the drain has done this
            perform chat_rollups.label_names('public.chat_telemetry_log');
            perform chat_rollups.label_names('public.chat_telemetry_changes');
        end if;
        changes := 'select * from chat_rollups.log_as_drained';
    end if;
    if is_rebuild and follows is not null then
        -- The model reads here which days the table holds so far: none.
        update chat_rollups.progress set as_of = null where name = rollup_name;
    end if;

    select
        pg_catalog.array_agg(pg_catalog.quote_ident(a.attname)) filter (where a.attnum = any(i.indkey)),
        pg_catalog.array_agg(pg_catalog.quote_ident(a.attname)) filter (where a.attnum <> all(i.indkey))
    into keys, counts
    from pg_catalog.pg_index as i
    inner join pg_catalog.pg_attribute as a on i.indrelid = a.attrelid and a.attnum > 0 and not a.attisdropped
    where i.indrelid = rollup and i.indisprimary;
    is_zero := case when lists_everything then 'false'
        else chat_rollups.each_column(counts, 'coalesce(%s, 0) = 0', ' and ') end;

    execute pg_catalog.format('select exists (select from %s)', rollup) into has_rows;
    on_conflict := case when not has_rows then ''  -- a plain insert is cheaper
        else pg_catalog.format(
            'on conflict (%s) do update set %s where %s',
            pg_catalog.array_to_string(keys, ', '),
            case when is_rebuild or replaces then chat_rollups.each_column(counts, '%1$s = excluded.%1$s', ', ')
                else chat_rollups.each_column(counts, '%1$s = rollup.%1$s + excluded.%1$s', ', ') end,
            case when is_rebuild or replaces
                then chat_rollups.each_column(counts, 'rollup.%1$s is distinct from excluded.%1$s', ' or ')
                else 'true' end
        ) end;

    execute pg_catalog.format(
        'with drained_changes as (
            %s
        ),

        counted as %s (
            select * from (
                %s
            ) as counted
            where %s
        ),

        gone as (
            delete from %s as rollup
            where %s and not exists (select from counted where %s)
            returning 1
        ),

        written as (
            insert into %s as rollup (%s)
            select %s from counted
            order by %s
            %s
            returning rollup.ctid as place, %s as is_zero
        )

        select
            count(*) + (select count(*) from gone),
            coalesce(array_agg(place) filter (where is_zero), ''{}'')
        from written',
        changes,
        case when has_rows then 'materialized' else 'not materialized' end,
        query,
        -- What adds nothing is left out; a value that replaces another may be 0.
        case when replaces and not is_rebuild then 'true' else pg_catalog.format('not (%s)', is_zero) end,
        rollup,
        (is_rebuild and has_rows)::text,
        chat_rollups.each_column(keys, 'rollup.%1$s = counted.%1$s', ' and '),
        rollup,
        pg_catalog.array_to_string(keys || counts, ', '),
        pg_catalog.array_to_string(keys || counts, ', '),
        pg_catalog.array_to_string(keys, ', '),
        on_conflict,
        is_zero
    )
    into written, emptied;

    -- A statement cannot change a row twice, so what reached 0 goes now. Nobody else moves these rows: ours is the
    -- only lock.
    if pg_catalog.cardinality(emptied) > 0 then
        execute pg_catalog.format('delete from %s where ctid = any($1)', rollup) using emptied;
    end if;

    if lists_everything and written = 0 and mine.drain_number is not null then
        return 'nothing new';
    end if;
    update chat_rollups.progress as p
    set
        drain_number = source.drain_number,
        generation = case when follows is null then p.generation + is_rebuild::integer else source.generation end,
        revision = p.revision + (written > 0 or p.as_of is distinct from source.as_of)::integer,
        as_of = source.as_of,
        report_timezone = timezone,
        query_md5 = chat_rollups.query_md5(query)
    where p.name = rollup_name;
    return pg_catalog.format('%s rows %s', written, case when is_rebuild then 'rebuilt' else 'changed' end);
end
$$;

comment on function chat_rollups.fill(regclass, text, text[], text, text, boolean, text, boolean, boolean, text[]) is
'Counts into a rollup what came since it counted last, or the whole log. Says how many rows it wrote.';

revoke all on all functions in schema chat_rollups from public, service_role, telemetry_writer, telemetry_reader;
grant execute on all functions in schema chat_rollups to telemetry_transformer;
-- Who may hand the feed over is who migrates.
revoke all on function chat_rollups.hand_over(text) from telemetry_transformer;
