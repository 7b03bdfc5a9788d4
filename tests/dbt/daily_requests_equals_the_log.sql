-- daily_requests counts each chat request of the log once: on a few random days, or all with `reconcile_all`.
{{ config(tags=['reconcile']) }}
{% set days = days_to_reconcile(ref('daily_requests')) %}

with

requests as (
    {{ log_as_counted('daily_requests', days) }}
),

counted as (
    select
        day,
        sql_model,
        response_model,
        error_type,
        failed_step,
        is_off_topic,
        sum(sign)::bigint as request_count,
        {{ sum_of_calls() }}
    from requests
    group by day, sql_model, response_model, error_type, failed_step, is_off_topic
    having sum(sign) != 0
),

tallied as (
    select * from {{ ref('daily_requests') }}
    where {{ on_days(days) }}
)

{{ differences('counted', 'tallied') }}
