-- daily_latency counts each measured step of the log once: on a few random days, or all with `reconcile_all`.
{{ config(tags=['reconcile']) }}
{% set days = days_to_reconcile(ref('daily_latency')) %}

with

requests as (
    {{ log_as_counted('daily_latency', days) }}
),

counted as (
    select
        requests.day,
        measured.step,
        requests.sql_model,
        requests.response_model,
        measured.duration_ms,
        sum(requests.sign)::bigint as request_count
    from requests
    cross join
        lateral (
            values
            ('nl_to_sql', requests.nl_to_sql_duration_ms),
            ('sql_execution', requests.sql_execution_duration_ms),
            ('response_generation', requests.response_generation_duration_ms),
            ('ttfb', requests.ttfb_ms)
        ) as measured (step, duration_ms)
    where requests.error_type = '' and measured.duration_ms is not null
    group by requests.day, measured.step, requests.sql_model, requests.response_model, measured.duration_ms
    having sum(requests.sign) != 0
),

tallied as (
    select * from {{ ref('daily_latency') }}
    where {{ on_days(days) }}
)

{{ differences('counted', 'tallied') }}
