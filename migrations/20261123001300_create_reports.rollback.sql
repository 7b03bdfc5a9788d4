-- Drops the reports that dbt made, which the next run makes again, but nothing that others built on them: if somebody
-- did, the rollback stops and names it.

set lock_timeout = '5s';

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
        raise exception 'the reports are used by %', dependents
        using hint = 'Drop those views first, then roll back again.';
    end if;

    for report_name in
        select matviewname from pg_catalog.pg_matviews where schemaname = 'chat_reports'
    loop
        execute pg_catalog.format('drop materialized view chat_reports.%I', report_name);
    end loop;
end
$$;

drop view if exists chat_reports.report_freshness;
drop function if exists chat_rollups.make_report(
    text, text, text, text[], text[], jsonb, boolean
);
drop function if exists chat_rollups.exchange_report(regclass, regclass);
drop function if exists chat_rollups.grant_report(regclass, text[]);
drop function if exists chat_rollups.apply_settings(regclass, jsonb);
drop function if exists chat_rollups.refresh_report(regclass);
drop function if exists chat_rollups.key_of(regclass);
drop function if exists chat_rollups.state_of(text[]);
drop function if exists chat_rollups.left_out_count(text[]);
drop function if exists chat_rollups.pending_changes();
drop table if exists chat_rollups.report_state;
