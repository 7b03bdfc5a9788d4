-- How long did people wait for the first byte on each day?
select
    period_start,
    p50_ms as row_p50_ms,
    p95_ms as row_p95_ms,
    p99_ms as row_p99_ms
from chat_reports.latency
where period = 'day' and step = 'ttfb'
order by period_start;
