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
set local search_path = pg_catalog, pg_temp;
-- So that the workers have the time limit too.
do $$ begin perform set_config('citus.propagate_set_commands', 'local', true); end $$;
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
    select pg_catalog.string_agg(nodename || ':' || nodeport, ', ') into named
    from pg_catalog.pg_dist_node where noderole = 'primary' and isactive and not metadatasynced;
    if named is not null then
        raise exception 'nodes without the metadata of the cluster: %', named
        using hint = 'Run `select start_metadata_sync_to_all_nodes()`.';
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
        and (
            tgenabled <> 'O'
            or tgfoid not in (
                'public.compute_sql_fingerprint'::regproc, 'public.chat_telemetry_refuse_truncate'::regproc,
                'public.chat_telemetry_feed_changes'::regproc, 'public.chat_telemetry_note_erased_users'::regproc
            )
        );
    if named is not null then
        raise exception 'triggers that are not as the migrations make them: %', named
        using hint = 'Yours would fire on each node, where your tables may be missing: drop them first. Enable ours.';
    end if;
    -- Citus would take the other table too, without its comments, and its identity column would start again at 1.
    select pg_catalog.string_agg(pg_catalog.format('%I on %s', conname, conrelid::regclass), ', ') into named
    from pg_catalog.pg_constraint
    where contype = 'f' and (conrelid = any(tables::regclass[])) <> (confrelid = any(tables::regclass[]));
    if named is not null then
        raise exception 'foreign keys between tables of the log and others: %', named
        using hint = 'Drop them first: the other tables stay on the coordinator, without these keys.';
    end if;
    select pg_catalog.string_agg(pg_catalog.format('%I of %s', attname, attrelid::regclass), ', ') into named
    from pg_catalog.pg_attribute where attrelid = any(tables::regclass[]) and attidentity <> '';
    if named is not null then
        raise exception 'identity columns: %', named
        using hint = 'With them Citus allows no way back. Give them a default instead.';
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
    perform pg_catalog.set_config('citus.shard_replication_factor', '1', true);
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
    name text;
    statement text;
begin
    for statement in select drop_it from made_again order by place desc loop
        execute statement;
    end loop;
    -- A function that was made before Citus was there is on no worker yet.
    foreach name in array array[
        'compute_sql_fingerprint', 'chat_telemetry_refuse_truncate', 'chat_telemetry_feed_changes',
        'chat_telemetry_note_erased_users'
    ] loop
        execute pg_catalog.pg_get_functiondef(pg_catalog.to_regproc('public.' || name));
        execute pg_catalog.format('revoke all on function public.%I() from public', name);
    end loop;
    perform pg_catalog.create_reference_table('auth.users');
    perform pg_catalog.create_reference_table('public.chat_conversations');
    perform pg_catalog.create_reference_table('public.chat_telemetry_erased_users');
    perform pg_catalog.create_distributed_table('public.chat_telemetry_log', 'log_id');
    perform pg_catalog.create_distributed_table(
        'public.chat_telemetry_changes', 'log_id', colocate_with => 'public.chat_telemetry_log'
    );
    -- Citus leaves the old rows on the disk of the coordinator.
    foreach name in array array[
        'public.chat_telemetry_changes', 'public.chat_telemetry_log', 'public.chat_telemetry_erased_users',
        'public.chat_conversations', 'auth.users'
    ] loop
        perform pg_catalog.truncate_local_data_after_distributing_table(name);
    end loop;
    for statement in select make_it from made_again order by place, make_it loop
        execute statement;
    end loop;

    -- The loader inserts unknown users. For an insert into a table of which each node has a copy, Citus asks for a right
    -- to change rows, also of the tables that the statement reads. These two rights change none: no policy lets anybody
    -- update, and TRUNCATE needs the same right on the conversations, which refer to the users.
    grant update on table public.chat_telemetry_erased_users to service_role, telemetry_writer;
    if
        pg_catalog.obj_description('auth.users'::regclass, 'pg_class') like 'Made by chat-telemetry%'
        and exists (
            select from pg_catalog.pg_constraint
            where conrelid = 'public.chat_conversations'::regclass and confrelid = 'auth.users'::regclass
        )
    then
        grant truncate on table auth.users to telemetry_writer;
    end if;
    raise notice 'done after % s', pg_catalog.ceil(extract(epoch from pg_catalog.clock_timestamp() - pg_catalog.now()));
end
$$;

commit;

\ir comment_on_workers.sql
