-- How many chat requests failed each day, with which error_type and at which step?
with

requests as (
    select * from {{ ref('daily_requests') }}
    where day between {{ first_day() }} and {{ as_of() }}
),

labels as (
    select * from {{ source('rollups', 'labels') }}
),

counted as (
    select
        requests.day,
        case when requests.error_type = 0 then 'none' else error_types.label end as error_type,
        case
            when requests.error_type = 0 then 'none'
            when requests.failed_step = 0 then 'unknown'
            else failed_steps.label
        end as failed_step,
        sum(requests.request_count)::bigint as request_count,
        (sum(sum(requests.request_count)) over (partition by requests.day))::bigint as day_request_count
    from requests
    inner join labels as error_types on requests.error_type = error_types.id
    inner join labels as failed_steps on requests.failed_step = failed_steps.id
    group by 1, 2, 3
)

select
    day,
    error_type,
    failed_step,
    request_count,
    day_request_count,
    request_count::double precision / day_request_count as share_of_requests
from counted
