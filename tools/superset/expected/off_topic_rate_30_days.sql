-- Which part of the questions of 30 days could the data not answer? From another report than that of the chart.
select sum(off_topic_count)::float8 / sum(request_count)::float8 as overall_off_topic_rate
from chat_reports.off_topic
where day > (select max(f.as_of) from chat_reports.report_freshness as f) - 30;
