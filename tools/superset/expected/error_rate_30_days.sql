-- Which part of the chat requests of the last 30 days failed? From another report than that of the chart.
select
    sum(case when error_type in ('none', 'cancelled') then 0 else request_count end)::float8
    / sum(request_count)::float8 as overall_error_rate
from chat_reports.errors
where day > (select max(f.as_of) from chat_reports.report_freshness as f) - 30;
