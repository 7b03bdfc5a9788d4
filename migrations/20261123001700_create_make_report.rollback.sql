-- Drops the reports, which the next dbt run creates again. If other views depend on a report, the rollback stops and
-- names them.

set local lock_timeout = '5s';

do $$
declare
    dependents text;
    report_name text;
begin
    select pg_catalog.string_agg(distinct dependent.oid::pg_catalog.regclass::text, ', ') into dependents
    from pg_catalog.pg_depend as d
    inner join pg_catalog.pg_rewrite as rule on d.objid = rule.oid
    inner join pg_catalog.pg_class as dependent on rule.ev_class = dependent.oid
    inner join pg_catalog.pg_class as used on d.refobjid = used.oid
    where
        used.relnamespace = 'chat_reports'::pg_catalog.regnamespace
        and dependent.relnamespace <> 'chat_reports'::pg_catalog.regnamespace;
    if dependents is not null then
        raise exception 'other views depend on the reports: %', dependents
        using hint = 'Drop those views first, then roll back again.';
    end if;

    for report_name in
        select matviewname from pg_catalog.pg_matviews where schemaname = 'chat_reports'
    loop
        execute pg_catalog.format('drop materialized view chat_reports.%I', report_name);
    end loop;
end
$$;

drop function if exists chat_rollups.make_report;
