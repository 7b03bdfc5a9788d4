-- Functions, aggregates and operators in public that match a call better than those of pg_catalog, so that they are called
-- although pg_catalog is searched first. There are three kinds: an argument that pg_catalog would cast implicitly; an
-- argument for which pg_catalog has a pseudo-type, as to_json(record); operators between two types that pg_catalog compares
-- only after a cast, as oid = regclass. They are made for the types of the columns that the project and dbt read.
set search_path = pg_catalog;

create or replace function public.fail() returns integer language plpgsql as
'begin raise exception ''something of public was called''; end';

create table public.used_type as
select distinct t.oid as type, t.typarray as array_type
from pg_type as t
left join pg_attribute as a on t.oid = a.atttypid
left join pg_class as c on a.attrelid = c.oid
where
    t.oid = any('{float8,numeric,int8,interval,varchar,regclass,jsonb,text[],record}'::regtype[])
    or t.typtype = 'b' and t.typnamespace = 'pg_catalog'::regnamespace and t.typarray <> 0
    and (
        c.relnamespace::regnamespace::text like 'chat\_%' or c.relname like 'chat\_telemetry\_%'
        or c.relnamespace = 'pg_catalog'::regnamespace and c.relname in ('pg_class', 'pg_namespace', 'pg_index')
    );

-- Functions that nobody calls by name are left out.
create table public.original as
select
    oid, proname as name, prokind as kind, prorettype as result, proretset as is_set,
    provariadic = '"any"'::regtype as is_variadic, array(select unnest(proargtypes::oid[])) as types
from pg_proc as p
where
    pronamespace = 'pg_catalog'::regnamespace and prokind in ('f', 'a')
    and not exists (select from pg_operator where oprcode = p.oid)
    and not exists (select from pg_amproc where amproc = p.oid)
    and not exists (select from pg_type where p.oid in (typinput, typoutput, typreceive, typsend, typsubscript))
    and not exists (select from pg_aggregate where p.oid in (aggtransfn, aggfinalfn, aggcombinefn, aggserialfn));

create function public.concrete(pseudo oid, used public.used_type) returns oid language sql as $$
    select case
        when pseudo::regtype::text in ('"any"', 'anyelement', 'anynonarray', 'anycompatible', 'anycompatiblenonarray')
            then used.type
        when pseudo::regtype::text in ('anyarray', 'anycompatiblearray') then used.array_type
        else pseudo
    end
$$;

create table public.better_match as
select o.name, o.kind, o.is_set, o.result, array(
    select case when n = cast_argument then c.castsource else type end
    from unnest(o.types) with ordinality as argument (type, n) order by n
) as types
from public.original as o
cross join generate_subscripts(o.types, 1) as cast_argument
inner join pg_cast as c on c.casttarget = o.types[cast_argument] and c.castsource <> c.casttarget
where c.castcontext = 'i'
union
select o.name, o.kind, o.is_set, public.concrete(o.result, u), array(
    select public.concrete(type, u) from unnest(o.types) with ordinality as argument (type, n) order by n
) || case when o.is_variadic then array_fill(u.type, array[more]) end
from public.original as o
cross join public.used_type as u
cross join generate_series(0, 2) as more
where more = 0 or o.is_variadic;

do $made$
declare
    made record;
begin
    for made in
        select m.*, format_type(m.result, null) as result_type, (
            select coalesce(string_agg(format_type(type, null), ', ' order by n), '')
            from unnest(m.types) with ordinality as argument (type, n)
        ) as arguments
        from public.better_match as m
        where
            0 <> all(m.types || m.result)
            and not exists (
                select from pg_type as t where t.oid = any(m.types || m.result) and t.typtype = 'p' and t.typname <> 'record'
            )
    loop
        continue when to_regprocedure(format('pg_catalog.%I(%s)', made.name, made.arguments)) is not null
            or to_regprocedure(format('public.%I(%s)', made.name, made.arguments)) is not null;
        if made.kind = 'f' then
            execute format(
                'create function public.%I(%s) returns %s %s language plpgsql as ''begin perform public.fail(); end''',
                made.name, made.arguments, case when made.is_set then 'setof' end, made.result_type
            );
        else
            execute format(
                'create or replace function public.failing_step(bigint, %s) returns bigint language plpgsql as
                ''begin return public.fail(); end''',
                made.arguments
            );
            execute format(
                'create aggregate public.%I(%s) (sfunc = public.failing_step, stype = bigint)', made.name, made.arguments
            );
        end if;
    end loop;

    for made in
        select
            o.name, format_type(l.type, null) as left_type, format_type(r.type, null) as right_type,
            row_number() over (partition by l.type, r.type) as n
        from (
            select distinct oprname as name from pg_operator
            where oprleft in (select type from public.used_type) and oprright in (select type from public.used_type)
        ) as o
        cross join public.used_type as l
        cross join public.used_type as r
        where
            not exists (select from pg_operator where oprname = o.name and oprleft = l.type and oprright = r.type)
            and 'record'::regtype not in (l.type, r.type)
    loop
        if made.n = 1 then
            execute format(
                'create function public.failing(%s, %s) returns boolean language plpgsql as
                ''begin perform public.fail(); end''',
                made.left_type, made.right_type
            );
        end if;
        execute format(
            'create operator public.%s (leftarg = %s, rightarg = %s, function = public.failing)',
            made.name, made.left_type, made.right_type
        );
    end loop;
end
$made$;

reset search_path;
