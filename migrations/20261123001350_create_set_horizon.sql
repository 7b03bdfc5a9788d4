-- set_horizon: from which day on the log is counted. `chat-telemetry prune` sets it before it deletes older rows.

set local lock_timeout = '5s';

create or replace function chat_rollups.set_horizon(new_horizon date, timezone text)
returns date
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    drain_progress chat_rollups.progress;
    rollup text;
    columns constant text[] := array(
        select attname from pg_catalog.pg_attribute
        where attrelid = 'chat_rollups.drained_changes'::regclass and attnum > 0 and not attisdropped
    );
begin
    -- Nothing is counted meanwhile. A rollup before what it is made from, as fill locks them, so that the two never wait
    -- for each other.
    foreach rollup in array array[
        'daily_latency', 'window_durations', 'daily_durations', 'daily_requests', 'daily_users'
    ] loop
        perform from chat_rollups.progress where name = rollup for update;
    end loop;
    select * into strict drain_progress from chat_rollups.progress where name = 'drained_changes' for update;
    if exists (select from chat_rollups.progress where drain_number is null and name <> 'price_periods') then
        raise exception 'the log is not counted yet' using hint = 'Run dbt, then prune again.';
    end if;
    -- A run changes the time zone of one rollup after the other.
    if exists (
        select from chat_rollups.progress
        where name not in ('drained_changes', 'price_periods') and report_timezone <> timezone
    ) then
        raise exception 'the days of the rollups are not all those of the time zone %', timezone
        using hint = 'Run dbt with --full-refresh, then prune again.';
    end if;
    if new_horizon > drain_progress.as_of - 60 then
        raise exception 'the reports need the last 60 days up to %', drain_progress.as_of
        using hint = 'Prune what is older.';
    end if;
    if new_horizon <= drain_progress.horizon then
        return drain_progress.horizon;
    end if;
    -- What the feed has of earlier days belongs to their counts. What it gets from now on does not.
    perform chat_rollups.drain(columns, drain_progress.owner, drain_progress.as_of);
    update chat_rollups.progress set horizon = new_horizon where name = 'drained_changes';
    delete from chat_rollups.daily_users where day < new_horizon;
    return new_horizon;
end
$$;

comment on function chat_rollups.set_horizon is
'Drains the feed and sets the horizon, unless it is later already: changes of earlier days are discarded from now on, and what was counted of them stays. Returns the horizon. `timezone`: the one in which the day was chosen.';

call chat_rollups.make_private('function chat_rollups.set_horizon');
