-- Goes back from distribute.sql: the tables of the log are ordinary tables of the coordinator again, whose disk needs
-- room for all rows. Run it with psql on the coordinator, as their owner, while no dbt runs. It is one transaction.

\set ON_ERROR_STOP on
\set QUIET on
set client_min_messages = notice;
-- Rows that are committed while the locks are waited for have to be seen.
set default_transaction_isolation = 'read committed';

begin;
set local search_path = pg_catalog, pg_temp;
-- So that the workers have the time limit too.
do $$ begin perform set_config('citus.propagate_set_commands', 'local', true); end $$;
set local lock_timeout = '5s';

do $$
declare
    bytes bigint;
begin
    if pg_catalog.to_regclass('pg_catalog.pg_dist_partition') is null or not exists (
        select from pg_catalog.pg_dist_partition
        where logicalrelid = pg_catalog.to_regclass('public.chat_telemetry_log') and partmethod = 'h'
    ) then
        raise exception 'public.chat_telemetry_log is not distributed';
    end if;
    if pg_catalog.current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'the transaction is %', pg_catalog.current_setting('transaction_isolation')
        using hint = 'Run this file outside of a transaction.';
    end if;
    bytes := pg_catalog.citus_total_relation_size('public.chat_telemetry_log');
    raise notice '% of chat requests move back now: chat code waits about % s',
        pg_catalog.pg_size_pretty(bytes), 1 + bytes / 25000000;
end
$$;

\ir keys_and_triggers.sql

-- Citus makes each table again, and the views that read it. What else depends on one of them would be dropped.
create temporary table dependents on commit drop as
with recursive relations (relation) as (
    select oid from pg_class
    where
        oid in (
            'auth.users'::regclass,
            'public.chat_conversations'::regclass,
            'public.chat_telemetry_erased_users'::regclass,
            'public.chat_telemetry_log'::regclass,
            'public.chat_telemetry_changes'::regclass
        )
    union
    select r.ev_class
    from relations as t
    inner join pg_depend as d on t.relation = d.refobjid and d.classid = 'pg_rewrite'::regclass
    inner join pg_rewrite as r on d.objid = r.oid
)

select
    c.oid,
    c.relkind,
    c.relnamespace,
    c.relowner,
    c.relacl
from relations as t
inner join pg_class as c on t.relation = c.oid;

do $$
declare
    named text;
begin
    select string_agg(distinct pg_describe_object(d.classid, d.objid, d.objsubid), ', ') into named
    from dependents as t
    inner join pg_class as c on t.oid = c.oid
    inner join pg_type as y on c.reltype = y.oid
    inner join pg_depend as d
        on d.refclassid = 'pg_class'::regclass and d.refobjid = t.oid
        or d.refclassid = 'pg_type'::regclass and d.refobjid in (y.oid, y.typarray)
    left join pg_constraint as k on d.classid = 'pg_constraint'::regclass and d.objid = k.oid
    where
        d.classid in ('pg_publication_rel'::regclass, 'pg_proc'::regclass)
        or d.classid = 'pg_policy'::regclass and d.deptype = 'n'
        or d.classid = 'pg_trigger'::regclass and t.relkind = 'v'
        or k.conrelid not in (select oid from dependents);
    if named is not null then
        raise exception 'Citus would drop what depends on these tables: %', named
        using hint = 'Drop it first, and make it again afterwards.';
    end if;
    select string_agg(oid::regclass::text, ', ') into named
    from dependents where relkind = 'm' and relnamespace <> 'chat_reports'::regnamespace;
    if named is not null then
        raise exception 'Citus would make these materialized views again without their indexes and grants: %', named
        using hint = 'Drop them first, and make them again afterwards.';
    end if;
    for named in select oid::regclass from dependents where relkind = 'm' loop
        execute format('drop materialized view %s', named);
        raise notice 'dropped %: the next run of dbt makes it again', named;
    end loop;
end
$$;

-- Citus forgets the comments, and the grants on views.
insert into made_again (place, make_it)
select
    3 as place,
    case
        when d.objsubid > 0 then format('comment on column %s.%I is %L', t.oid::regclass, a.attname, d.description)
        when t.relkind = 'v' then format('comment on view %s is %L', t.oid::regclass, d.description)
        else format('comment on table %s is %L', t.oid::regclass, d.description)
    end as make_it
from dependents as t
inner join pg_description as d on t.oid = d.objoid and d.classoid = 'pg_class'::regclass
left join pg_attribute as a on d.objoid = a.attrelid and d.objsubid = a.attnum
where t.relkind in ('r', 'v')
union all
select
    3 as place,
    format(
        'grant %s on %s to %s%s', g.privilege_type, t.oid::regclass,
        case g.grantee when 0 then 'public' else g.grantee::regrole::text end,
        case when g.is_grantable then ' with grant option' end
    ) as make_it
from dependents as t
cross join aclexplode(t.relacl) as g
where t.relkind = 'v' and g.grantee <> t.relowner;

do $$
declare
    tables constant text[] := array[
        'public.chat_telemetry_changes', 'public.chat_telemetry_log', 'public.chat_telemetry_erased_users',
        'public.chat_conversations', 'auth.users'
    ];
    name text;
    statement text;
begin
    perform pg_catalog.set_config('citus.enable_unsafe_triggers', 'on', true);
    perform pg_catalog.set_config('citus.multi_shard_modify_mode', 'sequential', true);
    for statement in select drop_it from made_again where drop_it is not null order by place desc loop
        execute statement;
    end loop;
    revoke update on table public.chat_telemetry_erased_users from service_role, telemetry_writer;
    revoke truncate on table auth.users from telemetry_writer;
    perform pg_catalog.set_config('client_min_messages', 'warning', true); -- Citus tells each of its steps
    foreach name in array tables loop
        perform pg_catalog.undistribute_table(name);
    end loop;
    perform pg_catalog.set_config('client_min_messages', 'notice', true);
    for statement in select make_it from made_again order by place, make_it loop
        execute statement;
    end loop;
    execute pg_catalog.format('alter database %I reset citus.enable_unsafe_triggers', pg_catalog.current_database());
    execute pg_catalog.format('alter database %I reset citus.multi_shard_modify_mode', pg_catalog.current_database());
    raise notice 'done after % s', pg_catalog.ceil(extract(epoch from pg_catalog.clock_timestamp() - pg_catalog.now()));
end
$$;

commit;
