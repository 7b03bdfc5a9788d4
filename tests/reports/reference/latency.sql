select
    period,
    period_start,
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
    ('day', day, 29, 0),
    ('last_7_days', %(report_as_of)s::date - 6, 6, 0),
    ('last_30_days', %(report_as_of)s::date - 29, 29, 0),
    ('last_7_complete_days', %(report_as_of)s::date - 7, 7, 1),
    ('previous_7_complete_days', %(report_as_of)s::date - 14, 14, 8)
) as window_of (period, period_start, first, last)
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
group by period, period_start, step
