-- Which part of the questions of each day could the data not answer? The report has this rate.
select
    day,
    off_topic_rate as overall_off_topic_rate
from chat_reports.off_topic
where day between current_date - 29 and current_date
order by day;
