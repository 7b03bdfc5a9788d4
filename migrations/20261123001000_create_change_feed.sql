-- The change feed: one signed row per changed row of the log, with the columns that the reports count, in the same
-- transaction. An insert writes +1, a delete -1, an update -1 for the old row and +1 for the new one. dbt drains it.

set local lock_timeout = '5s';

-- The order of the columns: first those that are never null, then numbers, then texts. PostgreSQL finds a column faster
-- if the columns before it are not null and of fixed width, and the trigger and the drain read every column.
create table if not exists public.chat_telemetry_changes (
    log_id uuid not null,
    sign smallint not null,
    is_off_topic boolean not null,
    created_at timestamptz not null,
    user_id uuid not null,
    nl_to_sql_duration_ms integer,
    sql_execution_duration_ms integer,
    response_generation_duration_ms integer,
    ttfb_ms integer,
    sql_input_tokens integer,
    sql_output_tokens integer,
    sql_cached_tokens integer,
    response_input_tokens integer,
    response_output_tokens integer,
    response_cached_tokens integer,
    error_type text,
    failed_step text,
    sql_model text,
    response_model text,
    constraint chat_telemetry_changes_sign check (sign in (-1, 1))
) with (
    -- After a drain all rows are dead: vacuum early, so that the pages are used again.
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_insert_threshold = -1,
    autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 100000
);

call chat_rollups.make_private('table public.chat_telemetry_changes');

-- The table has no key. Without this, no drain could delete rows if there is a publication for all tables.
alter table public.chat_telemetry_changes replica identity full;
-- Statistics would keep the ids of erased users.
alter table public.chat_telemetry_changes
alter column log_id set statistics 0, alter column user_id set statistics 0;

comment on table public.chat_telemetry_changes is
'Changes of public.chat_telemetry_log that were not drained yet. Triggers write them, dbt drains them.';
comment on column public.chat_telemetry_changes.sign is
'1 if the row was added to the log, -1 if it was removed. The other columns are those of the log.';

alter table public.chat_telemetry_changes enable row level security;

grant select, delete on table public.chat_telemetry_changes to telemetry_transformer;

drop policy if exists telemetry_transformer_selects on public.chat_telemetry_changes;
create policy telemetry_transformer_selects on public.chat_telemetry_changes
for select to telemetry_transformer using (true);

drop policy if exists telemetry_transformer_deletes on public.chat_telemetry_changes;
create policy telemetry_transformer_deletes on public.chat_telemetry_changes
for delete to telemetry_transformer using (true);

-- Rows were added, unless the trigger has the argument 'removed'. Only the number of arguments is read, because that is
-- cheaper than a text. Security definer, because the roles that write the log have no privilege on the feed.
create or replace function public.chat_telemetry_feed_changes()
returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    change_sign constant smallint := case tg_nargs when 0 then 1 else -1 end;
    shard text;
    columns text;
begin
    if tg_relid <> 'public.chat_telemetry_log'::regclass then
        -- Citus: the trigger fires on a part of the log (a shard). The part of the feed for the same log_ids is on the
        -- same node.
        if pg_catalog.to_regclass('pg_catalog.pg_dist_shard') is not null then
            select pg_catalog.format('public.chat_telemetry_changes_%s', feed.shardid) into shard
            from pg_catalog.pg_dist_shard as logged
            inner join pg_catalog.pg_dist_shard as feed on logged.shardminvalue = feed.shardminvalue
            where
                logged.logicalrelid = 'public.chat_telemetry_log'::regclass
                and pg_catalog.to_regclass(pg_catalog.format('public.chat_telemetry_log_%s', logged.shardid)) = tg_relid
                and feed.logicalrelid = 'public.chat_telemetry_changes'::regclass;
        end if;
        -- Nobody else has the privilege to make a trigger of this function; a grant by mistake must not open the feed.
        if shard is null then
            raise exception 'chat_telemetry_feed_changes is the trigger function of public.chat_telemetry_log only';
        end if;
        select pg_catalog.string_agg(pg_catalog.quote_ident(attname), ', ') into columns
        from pg_catalog.pg_attribute
        where
            attrelid = 'public.chat_telemetry_changes'::regclass and attnum > 0 and not attisdropped
            and attname <> 'sign';
        perform pg_catalog.set_config('citus.enable_manual_changes_to_shards', 'on', true);
        execute pg_catalog.format(
            'insert into %1$s (sign, %2$s) select $1, %2$s from changed_rows', shard, columns
        ) using change_sign;
        return null;
    end if;
    insert into public.chat_telemetry_changes (
        sign, log_id, is_off_topic, created_at, user_id, nl_to_sql_duration_ms, sql_execution_duration_ms,
        response_generation_duration_ms, ttfb_ms, sql_input_tokens, sql_output_tokens, sql_cached_tokens,
        response_input_tokens, response_output_tokens, response_cached_tokens, error_type, failed_step, sql_model,
        response_model
    )
    select
        change_sign, log_id, is_off_topic, created_at, user_id, nl_to_sql_duration_ms,
        sql_execution_duration_ms, response_generation_duration_ms, ttfb_ms, sql_input_tokens, sql_output_tokens,
        sql_cached_tokens, response_input_tokens, response_output_tokens, response_cached_tokens, error_type,
        failed_step, sql_model, response_model
    from changed_rows;
    return null;
end
$$;

comment on function public.chat_telemetry_feed_changes() is
'Trigger function: writes a signed row to public.chat_telemetry_changes for each row that a statement changed in the log.';

call chat_rollups.make_private('function public.chat_telemetry_feed_changes()');

-- Per statement, not per row: for a batch of 500 rows the function runs once. An update is two changes, so it has two
-- triggers.
create or replace trigger trg_feed_inserts
after insert on public.chat_telemetry_log
referencing new table as changed_rows
for each statement execute function public.chat_telemetry_feed_changes();

create or replace trigger trg_feed_updates_old
after update on public.chat_telemetry_log
referencing old table as changed_rows
for each statement execute function public.chat_telemetry_feed_changes('removed');

create or replace trigger trg_feed_updates_new
after update on public.chat_telemetry_log
referencing new table as changed_rows
for each statement execute function public.chat_telemetry_feed_changes();

create or replace trigger trg_feed_deletes
after delete on public.chat_telemetry_log
referencing old table as changed_rows
for each statement execute function public.chat_telemetry_feed_changes('removed');

create or replace trigger trg_refuse_truncate
before truncate on public.chat_telemetry_changes
for each statement execute function public.chat_telemetry_refuse_truncate();
