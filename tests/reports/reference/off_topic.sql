select
    day,
    count(*) as request_count,
    count(*) filter (where is_off_topic) as off_topic_count,
    (count(*) filter (where is_off_topic))::double precision / count(*) as off_topic_rate
from requests
group by day
