select
    day,
    count(*) as request_count,
    count(*) filter (where is_off_topic) as off_topic_count,
    avg(is_off_topic::integer) as off_topic_rate
from requests
group by day
