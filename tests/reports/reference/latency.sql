select
    period,
    case when period = 'day' then day else %(report_as_of)s::date - first end as period_start,
    step,
    count(*) as request_count,
    sum(ms)::double precision / count(*) as avg_ms,
    percentile_cont(0.5) within group (order by ms) as p50_ms,
    percentile_cont(0.95) within group (order by ms) as p95_ms,
    percentile_cont(0.99) within group (order by ms) as p99_ms,
    max(ms) as max_ms
from requests
cross join lateral (
    values
    ('day', 29, 0),
    ('last_7_days', 6, 0), ('last_30_days', 29, 0), ('last_7_complete_days', 7, 1), ('previous_7_complete_days', 14, 8)
) as window_of (period, first, last)
cross join lateral (
    values
    ('nl_to_sql', nl_to_sql_duration_ms),
    ('sql_execution', sql_execution_duration_ms),
    ('response_generation', response_generation_duration_ms),
    ('ttfb', ttfb_ms)
) as measured (step, ms)
where
    error_type is null and ms >= 0
    and day between %(report_as_of)s::date - first and %(report_as_of)s::date - last
group by 1, 2, 3
