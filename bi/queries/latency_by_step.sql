-- How long did each step take in the last seven complete days, and was it slower than in the seven before them?
select
    current_week.step,
    current_week.request_count,
    current_week.avg_ms,
    current_week.p50_ms,
    current_week.p95_ms,
    current_week.p99_ms,
    current_week.max_ms,
    previous_week.p50_ms as previous_p50_ms,
    previous_week.p95_ms as previous_p95_ms,
    previous_week.p99_ms as previous_p99_ms
from chat_reports.latency as current_week
left join chat_reports.latency as previous_week
    on current_week.step = previous_week.step and previous_week.period = 'previous_7_complete_days'
where current_week.period = 'last_7_complete_days'
order by array_position(array['ttfb', 'nl_to_sql', 'sql_execution', 'response_generation'], current_week.step);
