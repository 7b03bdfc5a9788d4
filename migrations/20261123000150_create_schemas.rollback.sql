-- Rollbacks of later migrations have dropped the reports and the rollups. Only the price lists are left. If other views
-- depend on them, or if somebody put something else into the schemas, the rollback stops and names it.

set local lock_timeout = '5s';

do $$
declare
    dependents text;
begin
    select pg_catalog.string_agg(distinct dependent.oid::pg_catalog.regclass::text, ', ') into dependents
    from pg_catalog.pg_depend as d
    inner join pg_catalog.pg_rewrite as rule on d.objid = rule.oid
    inner join pg_catalog.pg_class as dependent on rule.ev_class = dependent.oid
    inner join pg_catalog.pg_class as used on d.refobjid = used.oid
    inner join pg_catalog.pg_namespace as ours on used.relnamespace = ours.oid
    where
        ours.nspname in ('chat_reports', 'chat_rollups', 'chat_prices')
        and dependent.relnamespace not in (
            select oid from pg_catalog.pg_namespace where nspname in ('chat_reports', 'chat_rollups', 'chat_prices')
        );
    if dependents is not null then
        raise exception 'other views depend on the price lists: %', dependents
        using hint = 'Drop those views first, then roll back again.';
    end if;

    select pg_catalog.string_agg(pg_catalog.format('%I.%I', n.nspname, c.relname), ', ') into dependents
    from pg_catalog.pg_class as c
    inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
    where
        n.nspname in ('chat_reports', 'chat_rollups', 'chat_prices')
        and c.relkind in ('r', 'p', 'v', 'm', 'f')
        and (n.nspname, c.relname) not in (('chat_prices', 'token_prices'), ('chat_prices', 'model_aliases'));
    if dependents is not null then
        raise exception 'the schemas of the project have more than its own tables: %', dependents
        using hint = 'Move or drop them first, then roll back again.';
    end if;
end
$$;

drop table if exists chat_prices.model_aliases, chat_prices.token_prices;
drop procedure if exists chat_rollups.make_private;
drop procedure if exists chat_rollups.refuse_foreign;
drop function if exists chat_rollups.owner_and_rights;

-- Not with cascade: that would drop columns of others, if a type of theirs is in a schema.
drop schema if exists chat_reports;
drop schema if exists chat_rollups;
drop schema if exists chat_prices;
