-- What failed in the last seven complete days, at which step, and was it more often than in the seven before them?
with

today as (
    select max(as_of) as as_of
    from chat_reports.report_freshness
),

requests as (
    select
        errors.*,
        errors.day >= today.as_of - 7 as is_last_week
    from chat_reports.errors
    cross join today
    where errors.day between today.as_of - 14 and today.as_of - 1
),

totals as (
    select sum(request_count) filter (where is_last_week) as all_requests
    from requests
)

select
    requests.error_type,
    requests.failed_step,
    coalesce(sum(requests.request_count) filter (where requests.is_last_week), 0)::bigint as request_count,
    coalesce(sum(requests.request_count) filter (where requests.is_last_week), 0)::double precision
    / totals.all_requests::double precision as share_of_requests,
    coalesce(sum(requests.request_count) filter (where not requests.is_last_week), 0)::bigint as previous_request_count
from requests
cross join totals
where requests.error_type not in ('none', 'cancelled')
group by requests.error_type, requests.failed_step, totals.all_requests
order by request_count desc, previous_request_count desc, requests.error_type asc, requests.failed_step asc;
