-- Which days does a rolling period begin on? It ends on the last day that counts.
select
    'last_7_days' as period,
    {{ as_of() }} - 6 as period_start
union all
select
    'last_30_days' as period,
    {{ as_of() }} - 29 as period_start
