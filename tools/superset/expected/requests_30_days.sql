-- How many chat requests were there in the last 30 days? From another report than that of the chart.
select sum(request_count)::bigint as total_request_count
from chat_reports.off_topic
where day > (select max(f.as_of) from chat_reports.report_freshness as f) - 30;
