-- Which chat requests count, and on which day did each fall?
select
    *,
    (created_at at time zone 'UTC')::date as day
from public.chat_telemetry_log
where created_at < (((now() at time zone 'UTC')::date + 1)::timestamp at time zone 'UTC')
