-- How many of the questions asked each day could the data not answer?
with

requests as (
    select * from {{ ref('daily_requests') }}
    where day between {{ first_day() }} and {{ as_of() }}
),

counted as (
    select
        day,
        sum(request_count)::bigint as request_count,
        coalesce(sum(request_count) filter (where is_off_topic), 0)::bigint as off_topic_count
    from requests
    group by day
)

select
    day,
    request_count,
    off_topic_count,
    off_topic_count::double precision / request_count as off_topic_rate
from counted
