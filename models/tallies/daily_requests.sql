-- How many chat requests did each day see, with which models and outcome, and how many tokens did they take?
with

changes as (
    {{ changes_to_count() }}
)

select
    day,
    sql_model,
    response_model,
    error_type,
    failed_step,
    is_off_topic,
    sum(sign)::bigint as request_count,
    {{ sum_of_calls() }}
from changes
group by day, sql_model, response_model, error_type, failed_step, is_off_topic
{{ having_any() }}
{{ in_order_of_days() }}
