-- daily_users counts each chat request of the log once: on a few random days, or all with `reconcile_all`.
{{ config(tags=['reconcile']) }}
{% set days = days_to_reconcile(ref('daily_users')) %}

with

requests as (
    {{ log_as_counted('daily_users', days) }}
),

counted as (
    select
        day,
        user_id,
        sql_model,
        response_model,
        sum(sign)::bigint as request_count,
        coalesce(sum(sign) filter (where error_type != ''), 0)::bigint as error_count,
        coalesce(sum(sign) filter (where is_off_topic), 0)::bigint as off_topic_count,
        {{ sum_of_calls() }}
    from requests
    group by day, user_id, sql_model, response_model
    having sum(sign) != 0
),

tallied as (
    select * from {{ ref('daily_users') }}
    where {{ on_days(days) }}
)

{{ differences('counted', 'tallied') }}
