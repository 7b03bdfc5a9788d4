-- Which days does a rolling period begin on? It ends today.
select
    'last_7_days' as period,
    (now() at time zone 'UTC')::date - 6 as period_start
union all
select
    'last_30_days' as period,
    (now() at time zone 'UTC')::date - 29 as period_start
