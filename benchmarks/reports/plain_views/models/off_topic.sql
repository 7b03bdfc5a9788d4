-- How many of the questions asked each day could the data not answer?
with

requests as (
    select * from {{ ref('requests') }}
),

counted as (
    select
        day,
        count(*) as request_count,
        count(*) filter (where is_off_topic) as off_topic_count
    from requests
    group by day
)

select
    day,
    request_count,
    off_topic_count,
    off_topic_count::double precision / request_count as off_topic_rate
from counted
