-- Did the first byte of one in twenty responses of the last alert_window_hours take longer than this?
{{ config(tags=["alert"], enabled=var("alert_ttfb_p95_ms") is not none) }}

with

percentiles as (
    select
        '' as subject,
        percentile_cont(0.95) within group (order by ttfb_ms) as value
    from ({{ recent_requests() }}) as requests
    where coalesce(error_type, '') = '' and ttfb_ms >= 0
    having count(*) >= {{ alert_bound("alert_min_requests") }}
)

{{ alert_rows("percentiles", "alert_ttfb_p95_ms") }}
