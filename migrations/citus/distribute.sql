-- Turns a migrated database, empty or with rows, into one that Citus distributes: the step that plain `migrate` never
-- takes. docs/scaling.md says when it is worth it. Run it with psql on the coordinator, as the owner of the tables and
-- of the database, while no dbt runs. Everything is one transaction. distribute.rollback.sql goes back.
--
-- The log and the feed are distributed by log_id: the trigger that fires on a part of the log (a shard) writes to the
-- part of the feed on the same node. What the log refers to is copied to each node. Rollups and reports stay on the
-- coordinator.

\set ON_ERROR_STOP on
\set QUIET on
set client_min_messages = notice;

begin;
set local lock_timeout = '5s';

do $$
declare
    tables constant text[] := array[
        'auth.users', 'public.chat_conversations', 'public.chat_telemetry_erased_users', 'public.chat_telemetry_log',
        'public.chat_telemetry_changes'
    ];
    named text;
begin
    if not exists (select from pg_catalog.pg_extension where extname = 'citus') then
        raise exception 'the database % has no extension citus', pg_catalog.current_database()
        using hint = 'Run `create extension citus` in this database on each node.';
    end if;
    if (select groupid from pg_catalog.pg_dist_local_group) <> 0 then
        raise exception 'this server is a worker' using hint = 'Connect to the coordinator.';
    end if;
    if not exists (select from pg_catalog.pg_dist_node where groupid = 0) then
        raise exception 'the coordinator is no node of the cluster yet'
        using hint = 'Run `select citus_set_coordinator_host(HOST, PORT)` with its address as the workers see it.';
    end if;
    if not exists (
        select from pg_catalog.pg_dist_node where noderole = 'primary' and isactive and shouldhaveshards
    ) then
        raise exception 'no node of the cluster takes rows'
        using hint = 'Run `select citus_add_node(HOST, PORT)` for each worker.';
    end if;

    select pg_catalog.string_agg(name, ', ') into named
    from pg_catalog.unnest(tables) as t (name) where pg_catalog.to_regclass(name) is null;
    if named is not null then
        raise exception 'missing: %', named using hint = 'Run `chat-telemetry migrate` first.';
    end if;
    -- A table that Citus only knows, because a foreign key connects it with another, has neither of the two.
    select pg_catalog.string_agg(logicalrelid::text, ', ') into named
    from pg_catalog.pg_dist_partition
    where logicalrelid = any(tables::regclass[]) and (partmethod = 'h' or repmodel = 't');
    if named is not null then
        raise exception 'distributed already: %', named;
    end if;
    select pg_catalog.string_agg(name, ', ' order by name) into named
    from (
        select oid::regclass::text as name, relowner as owner from pg_catalog.pg_class
        where oid = any(tables::regclass[])
        union all
        select 'the database', datdba from pg_catalog.pg_database where datname = pg_catalog.current_database()
    ) as owned
    where not pg_catalog.pg_has_role(owner, 'usage');
    if named is not null then
        raise exception '% is not the owner of %', current_user, named using hint = 'Run this file as their owner.';
    end if;
    select pg_catalog.string_agg(pg_catalog.format('%I on %s', tgname, tgrelid::regclass), ', ') into named
    from pg_catalog.pg_trigger
    where
        not tgisinternal and tgrelid = any(tables::regclass[])
        and tgfoid not in (
            'public.compute_sql_fingerprint'::regproc, 'public.chat_telemetry_refuse_truncate'::regproc,
            'public.chat_telemetry_feed_changes'::regproc, 'public.chat_telemetry_note_erased_users'::regproc
        );
    if named is not null then
        raise exception 'triggers that are not of the migrations: %', named
        using hint = 'They would fire on each node, where your tables may be missing. Drop them first.';
    end if;
end
$$;

-- Citus allows no triggers by default, because one may reach other nodes: the ones here do not. And it changes tables
-- that refer to each other in one transaction only one shard after the other. Both stay set for later migrations.
do $$
begin
    execute pg_catalog.format(
        'alter database %I set citus.enable_unsafe_triggers = on', pg_catalog.current_database()
    );
    execute pg_catalog.format(
        'alter database %I set citus.multi_shard_modify_mode = sequential', pg_catalog.current_database()
    );
    perform pg_catalog.set_config('citus.enable_unsafe_triggers', 'on', true);
    perform pg_catalog.set_config('citus.multi_shard_modify_mode', 'sequential', true);
    -- One shard a worker, because each shard that a statement writes to makes its commit longer.
    perform pg_catalog.set_config('citus.shard_count', pg_catalog.count(*)::text, true)
    from pg_catalog.pg_dist_node where noderole = 'primary' and isactive and shouldhaveshards;
end
$$;

do $$
begin
    raise notice '% of chat requests move now: chat code waits about % s',
        pg_catalog.pg_size_pretty(pg_catalog.pg_total_relation_size('public.chat_telemetry_log')),
        1 + pg_catalog.pg_total_relation_size('public.chat_telemetry_log') / 25000000;
end
$$;

\ir keys_and_triggers.sql

do $$
declare
    statement text;
begin
    for statement in select drop_it from made_again order by place desc loop
        execute statement;
    end loop;
    perform pg_catalog.create_reference_table('auth.users');
    perform pg_catalog.create_reference_table('public.chat_conversations');
    perform pg_catalog.create_reference_table('public.chat_telemetry_erased_users');
    perform pg_catalog.create_distributed_table('public.chat_telemetry_log', 'log_id');
    perform pg_catalog.create_distributed_table(
        'public.chat_telemetry_changes', 'log_id', colocate_with => 'public.chat_telemetry_log'
    );
    -- Citus leaves the old rows on the disk of the coordinator.
    perform pg_catalog.truncate_local_data_after_distributing_table('public.chat_telemetry_log');
    perform pg_catalog.truncate_local_data_after_distributing_table('public.chat_telemetry_changes');
    for statement in select make_it from made_again order by place, make_it loop
        execute statement;
    end loop;

    -- The loader inserts unknown users. For an insert into a table of which each node has a copy, Citus asks for a right
    -- to change rows, also of the tables that the statement reads. These two rights change none: no policy lets anybody
    -- update, and TRUNCATE needs the same right on the tables that refer to the users.
    grant update on table public.chat_telemetry_erased_users to service_role, telemetry_writer;
    if pg_catalog.obj_description('auth.users'::regclass, 'pg_class') like 'Made by chat-telemetry%' then
        grant truncate on table auth.users to telemetry_writer;
    end if;
    raise notice 'done after % s', pg_catalog.ceil(extract(epoch from pg_catalog.clock_timestamp() - pg_catalog.now()));
end
$$;

commit;

-- By this comment the loader knows that it may insert users; Citus brings no comment to the workers.
do $$
declare
    comment_there constant text := pg_catalog.format(
        'comment on table auth.users is %L', pg_catalog.obj_description('auth.users'::regclass, 'pg_class')
    );
    worker record;
begin
    for worker in select * from pg_catalog.run_command_on_workers(comment_there) where not success loop
        raise warning 'on %:%: %', worker.nodename, worker.nodeport, worker.result
        using hint = 'Run there: ' || comment_there;
    end loop;
end
$$;
