-- For each function, aggregate and operator of pg_catalog whose arguments allow it, creates one with the same name in public
-- that fails. Also creates types and tables with names that PostgreSQL and the project use.
do $$
declare
    made record;
begin
    create function public.fail() returns integer language plpgsql as
    'begin raise exception ''something of public was called''; end';

    for made in
        select
            p.oid::regproc as original, quote_ident(p.proname) as name, pg_get_function_identity_arguments(p.oid) as arguments,
            case when p.proretset then 'setof ' else '' end || format_type(p.prorettype, null) as result
        from pg_proc as p
        where
            p.pronamespace = 'pg_catalog'::regnamespace and p.prokind = 'f'
            and not exists (
                select from unnest(p.proargtypes::oid[] || p.prorettype) as used inner join pg_type as t on t.oid = used
                where t.typtype = 'p'
            )
    loop
        execute format(
            'create function public.%s(%s) returns %s language plpgsql as ''begin perform public.fail(); end''',
            made.name, made.arguments, made.result
        );
    end loop;

    for made in
        select distinct
            o.oprname as name, o.oprcode as original, format_type(o.oprright, null) as right_type,
            nullif(format_type(o.oprleft, null), '-') as left_type, quote_ident(p.proname) as function_name
        from pg_operator as o inner join pg_proc as p on o.oprcode = p.oid
        where
            o.oprnamespace = 'pg_catalog'::regnamespace
            and to_regprocedure(format('public.%I(%s)', p.proname, oidvectortypes(p.proargtypes))) is not null
    loop
        execute format(
            'create operator public.%s (%s rightarg = %s, function = public.%s)',
            made.name, 'leftarg = ' || made.left_type || ',', made.right_type, made.function_name
        );
    end loop;

    for made in
        select
            quote_ident(p.proname) as name, pg_get_function_identity_arguments(p.oid) as arguments,
            concat_ws(', ', 'bigint', nullif(pg_get_function_identity_arguments(p.oid), '')) as step_arguments
        from pg_proc as p inner join pg_aggregate as a on p.oid = a.aggfnoid
        where
            p.pronamespace = 'pg_catalog'::regnamespace and a.aggkind = 'n'
            and not exists (
                select from unnest(p.proargtypes::oid[]) as used inner join pg_type as t on t.oid = used
                where t.typtype = 'p'
            )
    loop
        execute format(
            'create or replace function public.hostile_step(%s) returns bigint language sql as ''select public.fail()::bigint''',
            made.step_arguments
        );
        execute format(
            'create aggregate public.%s(%s) (sfunc = public.hostile_step, stype = bigint)',
            made.name, coalesce(nullif(made.arguments, ''), '*')
        );
    end loop;

    for made in
        select typname as name from pg_type
        where typname in ('text', 'date', 'timestamptz', 'uuid', 'jsonb', 'name', 'regclass', 'oid', 'tid')
    loop
        execute format('create domain public.%I as pg_catalog.%I constraint hostile check (false)', made.name, made.name);
    end loop;

    for made in
        select unnest(
            '{pg_class,pg_namespace,pg_attribute,pg_index,pg_roles,pg_stats,progress,labels,drained_changes,daily_requests,
            daily_users,daily_durations,window_durations,price_periods,report_state,token_prices,model_aliases}'::text[]
        ) as name
    loop
        execute format('create table public.%I (hostile integer)', made.name);
    end loop;
end
$$;
