-- How many chat requests did each user make each day, with which models, and how many tokens did they take?
with

changes as (
    {{ changes_to_count() }}
)

select
    day,
    user_id,
    sql_model,
    response_model,
    sum(sign)::bigint as request_count,
    coalesce(sum(sign) filter (where error_type != ''), 0)::bigint as error_count,
    coalesce(sum(sign) filter (where is_off_topic), 0)::bigint as off_topic_count,
    {{ sum_of_calls() }}
from changes
group by day, user_id, sql_model, response_model
{{ having_any() }}
{{ in_order_of_days() }}
