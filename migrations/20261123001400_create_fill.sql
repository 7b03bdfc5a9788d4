-- fill: the run function that counts into a rollup.

set local lock_timeout = '5s';

create or replace function chat_rollups.each_column(columns text[], template text, separator text)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select pg_catalog.string_agg(pg_catalog.format(template, name), separator order by ordinality)
    from pg_catalog.unnest(columns) with ordinality as c (name, ordinality)
$$;

comment on function chat_rollups.each_column is
'Repeats a template, an expression with %s in place of a column, once for each column.';

create or replace function chat_rollups.query_md5(query text)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select pg_catalog.md5(pg_catalog.replace(query, pg_catalog.format('"%s".', pg_catalog.current_database()), ''))
$$;

comment on function chat_rollups.query_md5 is
'The md5 of a model''s query without the name of the database, so that a copy of the database has the same md5.';

-- `query` is the rollup's model. It reads the changes to count from a CTE named drained_changes, which fill puts before
-- it. The rollup's primary key is the key of a row; all other columns are counts. The other parameters:
--
-- columns: those that the dbt project documents
-- target_schema: the schema of the dbt target
-- made_from: the rollup that the query reads; null if the query reads the changes of the log
-- returns_new_values: true if the query returns new values, false if it returns amounts to add
-- returns_all_rows: true if every call returns all rows of the table
-- price_lists: tables that must have rows
create or replace function chat_rollups.fill(
    rollup regclass,
    query text,
    columns text[],
    target_schema text,
    timezone text,
    full_refresh boolean,
    made_from text default null,
    returns_new_values boolean default false,
    returns_all_rows boolean default false,
    price_lists text[] default '{}'
)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
set jit = off
as $$
declare
    rollup_name constant text := (select relname from pg_catalog.pg_class where oid = rollup);
    own_progress chat_rollups.progress;
    source_progress chat_rollups.progress;
    is_rebuild boolean;
    horizon date;
    from_horizon text;
    changes text;
    keys text[];
    counts text[];
    is_zero text;
    has_rows boolean;
    on_conflict text;
    zero_rows tid[];
    written bigint;
begin
    perform chat_rollups.assert_columns(rollup, columns);
    select * into strict own_progress from chat_rollups.progress where name = rollup_name for update;
    perform chat_rollups.assert_owner(target_schema);
    perform chat_rollups.assert_tables_have_rows(price_lists);

    -- For share: a rebuild reads the log and the feed, so no drain may take changes from the feed meanwhile.
    select * into strict source_progress from chat_rollups.progress
    where name = coalesce(made_from, 'drained_changes') for share;
    if source_progress.drain_number is null then
        raise exception 'chat_rollups.% has not counted the log yet: run dbt without --select', made_from;
    end if;
    is_rebuild := full_refresh or returns_all_rows or own_progress.drain_number is null
        or (
            made_from is not null
            and (
                own_progress.generation <> source_progress.generation
                or own_progress.query_md5 is distinct from chat_rollups.query_md5(query)
            )
        );
    select p.horizon into horizon from chat_rollups.progress as p where p.name = 'drained_changes';
    -- Rows without days, the prices, are the same in every time zone.
    if horizon is not null and own_progress.report_timezone <> timezone and not returns_all_rows then
        raise exception '% was counted in time zone %, not in %, and days before % cannot be counted again',
            rollup, own_progress.report_timezone, timezone, horizon
        using hint = pg_catalog.format('Set report_timezone to %s: the log was pruned.', own_progress.report_timezone);
    end if;
    if not is_rebuild and own_progress.report_timezone <> timezone then
        raise exception '% was counted in time zone %, not in %', rollup, own_progress.report_timezone, timezone
        using hint = 'To count the log by the days of the new time zone: dbt run --full-refresh';
    end if;
    if not is_rebuild
        and own_progress.drain_number = source_progress.drain_number
        and own_progress.as_of is not distinct from source_progress.as_of
    then
        return 'nothing new';
    end if;

    if is_rebuild and horizon is not null and made_from is null and not returns_all_rows
        and own_progress.drain_number < source_progress.drain_number
    then
        -- A rebuild counts from the horizon on. What was drained of earlier days before the horizon was set comes first.
        perform chat_rollups.fill(rollup, query, columns, target_schema, timezone, full_refresh => false);
    end if;
    -- Of days before the horizon daily_users has no rows.
    from_horizon := case when horizon is null then 'true' else pg_catalog.format(
        '(greatest(least(created_at, ''9999-12-30 00:00:00+00''), ''1999-12-30 00:00:00+00'') at time zone %L)::date >= %L',
        timezone, horizon
    ) end;
    if not is_rebuild then
        changes := pg_catalog.format(
            'select * from chat_rollups.drained_changes where drain_number > %s and drain_number <= %s and %s',
            own_progress.drain_number, source_progress.drain_number,
            case when rollup_name = 'daily_users' then from_horizon else 'true' end
        );
    elsif made_from is not null or returns_all_rows then
        changes := 'select * from chat_rollups.drained_changes where false';
    else
        perform chat_rollups.assert_log_is_visible();
        -- The drain adds the labels for a rollup that never counted.
        if own_progress.drain_number is not null or source_progress.as_of is null then
            perform chat_rollups.label_names('public.chat_telemetry_log');
            perform chat_rollups.label_names('public.chat_telemetry_changes');
        end if;
        changes := 'select * from chat_rollups.log_as_drained where ' || from_horizon;
    end if;
    if is_rebuild and made_from is not null then
        -- The model reads from progress up to which day the table counts: in a rebuild, no day.
        update chat_rollups.progress set as_of = null where name = rollup_name;
    end if;

    select
        pg_catalog.array_agg(pg_catalog.quote_ident(a.attname)) filter (where a.attnum = any(i.indkey)),
        pg_catalog.array_agg(pg_catalog.quote_ident(a.attname)) filter (where a.attnum <> all(i.indkey))
    into keys, counts
    from pg_catalog.pg_index as i
    inner join pg_catalog.pg_attribute as a on i.indrelid = a.attrelid and a.attnum > 0 and not a.attisdropped
    where i.indrelid = rollup and i.indisprimary;
    is_zero := case when returns_all_rows then 'false'
        else chat_rollups.each_column(counts, 'coalesce(%s, 0) = 0', ' and ') end;

    execute pg_catalog.format('select exists (select from %s)', rollup) into has_rows;
    on_conflict := case when not has_rows then ''  -- a plain insert is cheaper
        else pg_catalog.format(
            'on conflict (%s) do update set %s where %s',
            pg_catalog.array_to_string(keys, ', '),
            case when is_rebuild or returns_new_values
                then chat_rollups.each_column(counts, '%1$s = excluded.%1$s', ', ')
                else chat_rollups.each_column(counts, '%1$s = rollup.%1$s + excluded.%1$s', ', ') end,
            case when is_rebuild or returns_new_values
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

        deleted as (
            delete from %s as rollup
            where %s and not exists (select from counted where %s)
            returning 1
        ),

        written as (
            insert into %s as rollup (%s)
            select %s from counted
            order by %s
            %s
            returning rollup.ctid as row_ctid, %s as is_zero
        )

        select
            count(*) + (select count(*) from deleted),
            coalesce(array_agg(row_ctid) filter (where is_zero), ''{}'')
        from written',
        changes,
        case when has_rows then 'materialized' else 'not materialized' end,
        query,
        -- Rows that add 0 are left out. A new value may be 0.
        case when returns_new_values and not is_rebuild then 'true' else pg_catalog.format('not (%s)', is_zero) end,
        rollup,
        case
            when not (is_rebuild and has_rows) then 'false'
            when made_from is not null or returns_all_rows or horizon is null then 'true'
            else pg_catalog.format('rollup.day >= %L', horizon)
        end,
        chat_rollups.each_column(keys, 'rollup.%1$s = counted.%1$s', ' and '),
        rollup,
        pg_catalog.array_to_string(keys || counts, ', '),
        pg_catalog.array_to_string(keys || counts, ', '),
        pg_catalog.array_to_string(keys, ', '),
        on_conflict,
        is_zero
    )
    into written, zero_rows;

    -- A statement cannot change a row twice, so rows that reached 0 are deleted by a second one. No other session moves
    -- these rows meanwhile: this one holds the lock on the rollup's row of progress.
    if pg_catalog.cardinality(zero_rows) > 0 then
        execute pg_catalog.format('delete from %s where ctid = any($1)', rollup) using zero_rows;
    end if;

    if returns_all_rows and written = 0 and own_progress.drain_number is not null then
        update chat_rollups.progress set report_timezone = timezone
        where name = rollup_name and report_timezone is distinct from timezone;
        return 'nothing new';
    end if;
    update chat_rollups.progress as p
    set
        drain_number = source_progress.drain_number,
        generation = case when made_from is null then p.generation + is_rebuild::integer
            else source_progress.generation end,
        revision = p.revision + (written > 0 or p.as_of is distinct from source_progress.as_of)::integer,
        as_of = source_progress.as_of,
        report_timezone = timezone,
        query_md5 = chat_rollups.query_md5(query)
    where p.name = rollup_name;
    return pg_catalog.format('%s rows %s', written, case when is_rebuild then 'rebuilt' else 'changed' end);
end
$$;

comment on function chat_rollups.fill is
'Counts the drains that a rollup has not counted yet or, in a rebuild, the whole log. Returns how many rows it wrote.';

call chat_rollups.make_private(
    'function chat_rollups.each_column', 'function chat_rollups.query_md5', 'function chat_rollups.fill'
);

grant execute on function
chat_rollups.each_column,
chat_rollups.query_md5,
chat_rollups.fill
to telemetry_transformer;
