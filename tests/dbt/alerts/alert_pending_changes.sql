-- Are more changes of the log waiting to be counted?
{{ config(tags=["alert"], enabled=var("alert_pending_changes") is not none) }}

with

feed as (
    select
        '' as subject,
        count(*) as value
    from {{ source("chat", "chat_telemetry_changes") }}
)

{{ alert_rows("feed", "alert_pending_changes") }}
