-- Drops the reports, which the next dbt run creates again. If other views depend on a report, the rollback stops and
-- names them.

set local lock_timeout = '5s';

do $$
declare
    dependents text;
    reports text;
begin
    select pg_catalog.string_agg(distinct dependent.oid::pg_catalog.regclass::text, ', ') into dependents
    from pg_catalog.pg_depend as d
    inner join pg_catalog.pg_rewrite as rule on d.objid = rule.oid
    inner join pg_catalog.pg_class as dependent on rule.ev_class = dependent.oid
    inner join pg_catalog.pg_class as used on d.refobjid = used.oid
    where
        used.relnamespace = 'chat_reports'::pg_catalog.regnamespace
        and dependent.oid <> used.oid
        and (dependent.relnamespace <> 'chat_reports'::pg_catalog.regnamespace or dependent.relkind <> 'm');
    if dependents is not null then
        raise exception 'other views depend on the reports: %', dependents
        using hint = 'Drop those views first, then roll back again.';
    end if;

    -- In one statement, because a report can read another one.
    select pg_catalog.string_agg(pg_catalog.format('chat_reports.%I', matviewname), ', ') into reports
    from pg_catalog.pg_matviews where schemaname = 'chat_reports';
    if reports is not null then
        execute 'drop materialized view ' || reports;
    end if;
end
$$;

drop function if exists chat_rollups.make_report;
