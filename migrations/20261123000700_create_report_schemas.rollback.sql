-- Drops the reports, which the next `dbt build` makes again, but nothing that others built on them: that stops the
-- rollback with the names of what depends.

set lock_timeout = '5s';

do $$
declare
    dependents text;
begin
    select pg_catalog.string_agg(distinct dependent.oid::pg_catalog.regclass::text, ', ') into dependents
    from pg_catalog.pg_depend as d
    inner join pg_catalog.pg_rewrite as rule on d.objid = rule.oid
    inner join pg_catalog.pg_class as dependent on rule.ev_class = dependent.oid
    inner join pg_catalog.pg_class as used on d.refobjid = used.oid
    where
        used.relnamespace in ('chat_reports'::pg_catalog.regnamespace, 'chat_tallies'::pg_catalog.regnamespace)
        and dependent.relnamespace not in (
            'chat_reports'::pg_catalog.regnamespace, 'chat_tallies'::pg_catalog.regnamespace
        );
    if dependents is not null then
        raise exception 'the reports are used by %', dependents
        using hint = 'Drop those views first, then roll back again.';
    end if;
end
$$;

drop schema if exists chat_reports cascade;
drop schema if exists chat_tallies cascade;
