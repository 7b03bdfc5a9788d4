-- Was the last week slower than the one before, step by step?
select
    step,
    period,
    request_count,
    p50_ms,
    p95_ms,
    p99_ms
from chat_reports.latency
where period in ('last_7_complete_days', 'previous_7_complete_days')
order by step, period;
