-- Each request of a day is counted in one row of errors, and the shares of a day add up to 1.
select
    day,
    day_request_count,
    sum(request_count) as request_count,
    sum(share_of_requests) as share_of_requests
from {{ ref('errors') }}
group by day, day_request_count
having
    sum(request_count) != day_request_count
    or abs(sum(share_of_requests) - 1) > 1e-9
