-- Did more than this share of the chat requests of the last alert_window_hours fail? Cancelled requests did not.
{{ config(tags=["alert"], enabled=var("alert_error_rate") is not none) }}

with

rates as (
    select
        '' as subject,
        avg((coalesce(error_type, '') not in ('', 'cancelled'))::integer) as value
    from ({{ recent_requests() }}) as requests
    having count(*) >= {{ alert_bound("alert_min_requests") }}
)

{{ alert_rows("rates", "alert_error_rate") }}
