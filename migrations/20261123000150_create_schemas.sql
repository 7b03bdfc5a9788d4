-- The schemas of the project. chat_reports has the reports. chat_rollups has the tables from which they are made:
-- migrations create these tables, dbt fills them. chat_prices has the price lists. And make_private, which every
-- migration calls for what it creates: default privileges may have granted a new object to any role.

set local lock_timeout = '5s';

create schema if not exists chat_reports;
create schema if not exists chat_rollups;
create schema if not exists chat_prices;

-- A role that owns an object can change it later. So nothing is used that a role created before, except the role that
-- migrates, the owner of the database and superusers.
do $$
declare
    foreign_schemas text;
begin
    select pg_catalog.string_agg(pg_catalog.format('%I (of %s)', n.nspname, n.nspowner::pg_catalog.regrole), ', ')
    into foreign_schemas
    from pg_catalog.pg_namespace as n
    inner join pg_catalog.pg_roles as r on n.nspowner = r.oid
    inner join pg_catalog.pg_database as d on d.datname = pg_catalog.current_database()
    where
        n.nspname in ('chat_reports', 'chat_rollups', 'chat_prices')
        and not r.rolsuper and r.oid <> d.datdba and r.rolname <> current_user;
    if foreign_schemas is not null then
        raise exception 'schemas of the project exist already and belong to another role: %', foreign_schemas
        using hint = 'Drop them, or change their owner, then run the migrations again.';
    end if;
end
$$;

comment on schema chat_reports is 'The reports of chat-telemetry, for reading.';
comment on schema chat_rollups is 'The tables from which the reports of chat-telemetry are made: not for reading.';
comment on schema chat_prices is 'The price lists of chat-telemetry, loaded by dbt seed.';

create or replace function chat_rollups.owner_and_rights(object text, out owner oid, out rights aclitem[])
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    kind constant text := pg_catalog.split_part(object, ' ', 1);
    name constant text := pg_catalog.substr(object, pg_catalog.length(kind) + 2);
begin
    case kind
        when 'schema' then
            select nspowner, coalesce(nspacl, pg_catalog.acldefault('n', nspowner)) into owner, rights
            from pg_catalog.pg_namespace where oid = name::regnamespace;
        when 'table', 'sequence' then
            select
                relowner,
                coalesce(relacl, pg_catalog.acldefault('r', relowner)) || array(
                    select pg_catalog.unnest(attacl) from pg_catalog.pg_attribute where attrelid = c.oid
                )
            into owner, rights
            from pg_catalog.pg_class as c where oid = name::regclass;
        when 'function', 'procedure' then
            select proowner, coalesce(proacl, pg_catalog.acldefault('f', proowner)) into owner, rights
            from pg_catalog.pg_proc
            where oid = case when name like '%(%' then name::regprocedure::oid else name::regproc::oid end;
    end case;
end
$$;

comment on function chat_rollups.owner_and_rights is
'The owner of an object, and the rights on it and on its columns.';

create or replace procedure chat_rollups.refuse_foreign(object text)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    object_owner constant oid := (chat_rollups.owner_and_rights(object)).owner;
    i_am_superuser constant boolean := (select rolsuper from pg_catalog.pg_roles where rolname = current_user);
begin
    if object_owner = current_user::regrole
        or (select rolsuper from pg_catalog.pg_roles where oid = object_owner)
        or object_owner = (select datdba from pg_catalog.pg_database where datname = pg_catalog.current_database())
        or (not i_am_superuser and pg_catalog.pg_has_role(object_owner, 'usage'))
    then
        return;
    end if;
    raise exception 'the % exists already and belongs to another role, %', object, object_owner::regrole
    using hint = pg_catalog.format(
        'If you trust this role, run: alter %s owner to %I. Otherwise drop the object. Then run the migrations again.',
        object, current_user
    );
end
$$;

comment on procedure chat_rollups.refuse_foreign is
'Raises an exception if the object belongs to a role that is neither the current one, the owner of the database nor a superuser.';

create or replace procedure chat_rollups.make_private(variadic objects text[])
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    object text;
    grantee text;
begin
    foreach object in array objects loop
        call chat_rollups.refuse_foreign(object);
        for grantee in
            select distinct case r.grantee when 0 then 'public' else r.grantee::regrole::text end
            from chat_rollups.owner_and_rights(object) as o
            cross join pg_catalog.aclexplode(o.rights) as r
            where r.grantee <> o.owner
        loop
            execute pg_catalog.format('revoke all on %s from %s cascade', object, grantee);
        end loop;
    end loop;
end
$$;

comment on procedure chat_rollups.make_private is
'Revokes all rights on the objects, for example ''table public.t'' or ''function public.f()'', from every role but their owner.';

call chat_rollups.make_private(
    'schema chat_rollups', 'schema chat_prices', 'function chat_rollups.owner_and_rights',
    'procedure chat_rollups.refuse_foreign', 'procedure chat_rollups.make_private'
);

-- dbt grants usage of this schema to the roles that a report names in its `grants`. It stays if the file is applied
-- again.
do $$
begin
    if not pg_catalog.has_schema_privilege('telemetry_reader', 'chat_reports', 'usage') then
        call chat_rollups.make_private('schema chat_reports');
    end if;
end
$$;

-- Usage with grant option, so that dbt can grant it to the roles that a report names in its `grants`.
grant create on schema chat_reports to telemetry_transformer;
grant usage on schema chat_reports to telemetry_transformer with grant option;
grant usage, create on schema chat_prices to telemetry_transformer;
grant usage on schema chat_rollups to telemetry_transformer;
grant usage on schema chat_reports to telemetry_reader;

-- A log that is older than the project, and the functions of its triggers, before anything in it is changed.
do $$
declare
    trigger_function text;
begin
    if pg_catalog.to_regclass('public.chat_telemetry_log') is null then
        return;
    end if;
    call chat_rollups.refuse_foreign('table public.chat_telemetry_log');
    for trigger_function in
        select pg_catalog.format('%I.%I()', n.nspname, p.proname)
        from pg_catalog.pg_trigger as t
        inner join pg_catalog.pg_proc as p on t.tgfoid = p.oid
        inner join pg_catalog.pg_namespace as n on p.pronamespace = n.oid
        where t.tgrelid = 'public.chat_telemetry_log'::pg_catalog.regclass and not t.tgisinternal
    loop
        call chat_rollups.refuse_foreign('function ' || trigger_function);
    end loop;
end
$$;
