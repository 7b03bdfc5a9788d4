-- drain: the run function that empties the feed.
--
-- A run function does one part of a dbt run: drain empties the feed, fill counts into a rollup, make_report refreshes a
-- report. dbt calls each one in one statement, so that it is done as a whole or not at all, whatever transactions the
-- database client opens and whenever it is killed.
--
-- Every run function locks a row (of progress or of report_state) before it reads what to do. Only the checks of
-- columns and visibility come before the lock. If two runs overlap, the second one waits and then finds less to do, or
-- nothing.

set local lock_timeout = '5s';

create or replace function chat_rollups.label_names(relation regclass)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    found text[];
begin
    -- First read, then write: if the log is distributed, an insert that reads it would need a right on the sequence.
    execute pg_catalog.format(
        'select array_agg(distinct names.label)
        from (select distinct error_type, failed_step, sql_model, response_model from %s) as requests
        cross join lateral (
            values (error_type), (failed_step), (sql_model), (response_model)
        ) as names (label)
        where names.label is not null', relation
    )
    into found;
    -- In order, because two sessions that add the same names in different orders could wait for each other.
    insert into chat_rollups.labels (label)
    select f.label
    from pg_catalog.unnest(found) as f (label)
    where not exists (select from chat_rollups.labels as known where known.label = f.label)
    order by f.label
    on conflict do nothing;
end
$$;

comment on function chat_rollups.label_names is
'Adds a label for each name in the log or in the feed that does not have one.';

create or replace function chat_rollups.forget_counted_changes()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    counted_by_all constant bigint := (
        -- min() skips a rollup that never counted (null): it will count the log and needs no drained changes.
        select pg_catalog.min(drain_number)
        from chat_rollups.progress
        where name not in ('drained_changes', 'price_periods')
    );
begin
    if not exists (select from chat_rollups.drained_changes where drain_number <= counted_by_all) then
        return;
    end if;
    -- One session at a time, because two sessions that delete the same rows could wait for each other.
    perform from chat_rollups.progress where name = 'drained_changes' for update skip locked;
    if found then
        delete from chat_rollups.drained_changes where drain_number <= counted_by_all;
    end if;
end
$$;

comment on function chat_rollups.forget_counted_changes is
'Deletes the drained changes that every rollup has counted.';

create or replace function chat_rollups.discard_before_horizon()
returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    drain_progress chat_rollups.progress;
    timezone text;
    discarded bigint;
begin
    -- For a caller that does not hold the lock already.
    select * into drain_progress from chat_rollups.progress where name = 'drained_changes' for update skip locked;
    if drain_progress.horizon is null then
        return 0;
    end if;
    select report_timezone into timezone from chat_rollups.progress where name = 'daily_requests';
    -- The day as the dbt macro day_of has it.
    delete from public.chat_telemetry_changes
    where
        (
            greatest(least(created_at, '9999-12-30 00:00:00+00'), '1999-12-30 00:00:00+00') at time zone timezone
        )::date < drain_progress.horizon;
    get diagnostics discarded = row_count;
    if discarded > 0 then
        update chat_rollups.progress set discarded_changes = discarded_changes + discarded
        where name = 'drained_changes';
    end if;
    return discarded;
end
$$;

comment on function chat_rollups.discard_before_horizon is
'Deletes the changes in the feed that belong to days before the horizon, and returns how many. Nothing if another session drains.';

create or replace function chat_rollups.drain(columns text[], target_schema text, last_day date)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    first_day date;
    timezone text;
    discarded bigint;
    drained bigint;
begin
    perform chat_rollups.assert_log_is_visible();
    perform chat_rollups.assert_columns('chat_rollups.drained_changes', columns);
    perform chat_rollups.assert_columns(
        'public.chat_telemetry_changes', pg_catalog.array_remove(columns, 'drain_number') || array['log_id']
    );
    -- Locked until the commit, so drains are numbered in the order in which they become visible.
    select horizon into first_day from chat_rollups.progress where name = 'drained_changes' for update;
    select report_timezone into timezone from chat_rollups.progress where name = 'daily_requests';
    perform chat_rollups.assert_owner(target_schema);
    if last_day < first_day + 30 then
        raise exception 'a last day of % needs days before %, which were pruned', last_day, first_day
        using hint = pg_catalog.format('Set report_as_of to %s or later.', first_day + 30);
    end if;
    perform chat_rollups.forget_counted_changes();
    perform chat_rollups.label_names('public.chat_telemetry_changes');
    if exists (select from chat_rollups.progress where drain_number is null) then
        -- These rollups will count the log next. If each of them added the labels, they would wait for each other.
        perform chat_rollups.label_names('public.chat_telemetry_log');
    end if;

    discarded := chat_rollups.discard_before_horizon();
    -- A change before the horizon that commits now stays in the feed until the next drain discards it.
    -- If a change with a new name commits now, the name has no label yet. The change stays in the feed until the next
    -- drain.
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
            and case
                when first_day is null then true
                else (
                    greatest(least(changes.created_at, '9999-12-30 00:00:00+00'), '1999-12-30 00:00:00+00')
                    at time zone timezone
                )::date >= first_day
            end
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

    -- If neither the log nor the last day changed, nothing is written.
    update chat_rollups.progress as p
    set
        drain_number = p.drain_number + (drained > 0)::integer,
        revision = p.revision + 1,
        as_of = last_day,
        owner = target_schema
    where p.name = 'drained_changes' and (drained > 0 or p.as_of is distinct from last_day or p.owner is null);
    return pg_catalog.format('%s changes drained', drained)
        || case when discarded > 0 then pg_catalog.format(', %s before %s discarded', discarded, first_day) else '' end;
end
$$;

comment on function chat_rollups.drain is
'Moves the feed to drained_changes under the next drain number and records the last day. `columns`: those that the dbt project knows.';

call chat_rollups.make_private(
    'function chat_rollups.label_names', 'function chat_rollups.forget_counted_changes',
    'function chat_rollups.discard_before_horizon', 'function chat_rollups.drain'
);

grant execute on function
chat_rollups.label_names,
chat_rollups.forget_counted_changes,
chat_rollups.discard_before_horizon,
chat_rollups.drain
to telemetry_transformer;
