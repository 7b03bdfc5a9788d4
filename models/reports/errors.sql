-- How many chat requests failed each day, with what error and at which step?
with

requests as (
    select * from {{ ref('daily_requests') }}
    where day <= {{ as_of() }}
),

counted as (
    select
        day,
        case when error_type = '' then 'none' else error_type end as error_type,
        case
            when error_type = '' then 'none'
            when failed_step = '' then 'unknown'
            else failed_step
        end as failed_step,
        request_count
    from requests
),

added_up as (
    select
        day,
        error_type,
        failed_step,
        sum(request_count)::bigint as request_count,
        (sum(sum(request_count)) over (partition by day))::bigint as day_request_count
    from counted
    group by day, error_type, failed_step
)

select
    day,
    error_type,
    failed_step,
    request_count,
    day_request_count,
    trim_scale(request_count::numeric / day_request_count) as share_of_requests
from added_up
