-- How many chat requests failed each day, with which error_type and at which step?
with

requests as (
    select * from {{ ref('requests') }}
),

outcomes as (
    select
        day,
        coalesce(error_type, 'none') as error_type,
        case when error_type is null then 'none' else coalesce(failed_step, 'unknown') end as failed_step
    from requests
),

counted as (
    select
        day,
        error_type,
        failed_step,
        count(*) as request_count,
        (sum(count(*)) over (partition by day))::bigint as day_request_count
    from outcomes
    group by day, error_type, failed_step
)

select
    day,
    error_type,
    failed_step,
    request_count,
    day_request_count,
    request_count::double precision / day_request_count as share_of_requests
from counted
