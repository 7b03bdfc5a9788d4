-- Goes back from distribute.sql: the tables of the log are ordinary tables of the coordinator again, whose disk needs
-- room for all rows. Run it with psql on the coordinator, as their owner, while no dbt runs. It is one transaction.

\set ON_ERROR_STOP on
\set QUIET on
set client_min_messages = notice;

begin;
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
    bytes := pg_catalog.citus_total_relation_size('public.chat_telemetry_log');
    raise notice '% of chat requests move back now: chat code waits about % s',
        pg_catalog.pg_size_pretty(bytes), 1 + bytes / 25000000;
end
$$;

\ir keys_and_triggers.sql

-- Citus makes each table again, and the views that read it, but not their comments and not the grants on the views.
insert into made_again (place, make_it)
with recursive tables (relation) as (
    select oid from pg_class
    where
        oid in (
            'auth.users'::regclass,
            'public.chat_conversations'::regclass,
            'public.chat_telemetry_erased_users'::regclass,
            'public.chat_telemetry_log'::regclass, 'public.chat_telemetry_changes'::regclass
        )
    union
    select r.ev_class
    from tables as t
    inner join pg_depend as d on t.relation = d.refobjid and d.classid = 'pg_rewrite'::regclass
    inner join pg_rewrite as r on d.objid = r.oid
)

select
    3 as place,
    case
        when d.objsubid > 0 then format('comment on column %s.%I is %L', c.oid::regclass, a.attname, d.description)
        when c.relkind = 'v' then format('comment on view %s is %L', c.oid::regclass, d.description)
        else format('comment on table %s is %L', c.oid::regclass, d.description)
    end as make_it
from tables as t
inner join pg_class as c on t.relation = c.oid
inner join pg_description as d on c.oid = d.objoid and d.classoid = 'pg_class'::regclass
left join pg_attribute as a on d.objoid = a.attrelid and d.objsubid = a.attnum
where c.relkind in ('r', 'v')
union all
select
    3 as place,
    format(
        'grant %s on %s to %s%s', g.privilege_type, c.oid::regclass,
        case g.grantee when 0 then 'public' else g.grantee::regrole::text end,
        case when g.is_grantable then ' with grant option' end
    ) as make_it
from tables as t
inner join pg_class as c on t.relation = c.oid
cross join aclexplode(c.relacl) as g
where c.relkind = 'v' and g.grantee <> c.relowner;

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
        -- A table of yours that refers to one of ours comes back with it.
        if exists (select from pg_catalog.pg_dist_partition where logicalrelid = name::regclass) then
            perform pg_catalog.undistribute_table(name, cascade_via_foreign_keys => true);
        end if;
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
