-- Did no chat request arrive for more than this number of hours? Times in the future do not count.
{{ config(tags=["alert"], enabled=var("alert_hours_without_request") is not none) }}

with

newest as (
    select
        '' as subject,
        round(extract(epoch from now() - max(created_at)) / 3600, 2) as value
    from {{ source("chat", "chat_telemetry_log") }}
    where created_at <= now()
)

{{ alert_rows("newest", "alert_hours_without_request") }}
