-- How many chat requests failed on each of the last 30 days, and how?
select
    day,
    error_type as series,
    sum(request_count)::bigint as value
from chat_reports.errors
where error_type <> 'none' and error_type <> 'cancelled' and day between current_date - 29 and current_date
group by day, error_type
order by day;
