select
    day,
    coalesce(error_type, 'none') as error_type,
    case when error_type is null then 'none' when failed_step is null then 'unknown' else failed_step end as failed_step,
    count(*) as request_count,
    (select count(*) from requests as same_day where same_day.day = requests.day) as day_request_count,
    count(*)::double precision / (select count(*) from requests as same_day where same_day.day = requests.day)
        as share_of_requests
from requests
group by 1, 2, 3
