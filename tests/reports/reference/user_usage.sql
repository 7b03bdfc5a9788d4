select
    users.user_id,
    users.request_count,
    users.active_days,
    coalesce(spent.input_tokens, 0) as input_tokens,
    coalesce(spent.cached_input_tokens, 0) as cached_input_tokens,
    coalesce(spent.output_tokens, 0) as output_tokens,
    users.error_count,
    users.off_topic_count,
    round(case when spent.user_id is null then 0 else spent.cost_usd end, 10) as cost_usd,
    coalesce(spent.unpriced_call_count, 0) as unpriced_call_count,
    coalesce(spent.bounded_call_count, 0) as bounded_call_count,
    users.last_active_on
from (
    select
        user_id,
        count(*) as request_count,
        count(distinct day) as active_days,
        count(*) filter (where is_error) as error_count,
        count(*) filter (where is_off_topic) as off_topic_count,
        max(day) as last_active_on
    from requests
    where day > %(report_as_of)s::date - 30
    group by user_id
) as users
left join (
    select
        user_id,
        sum(input) as input_tokens,
        sum(cached) as cached_input_tokens,
        sum(output) as output_tokens,
        sum(micro_usd) / 1e6 as cost_usd,
        count(*) filter (where price_match = 'unpriced') as unpriced_call_count,
        count(*) filter (where is_bounded) as bounded_call_count
    from priced_calls
    where day > %(report_as_of)s::date - 30
    group by user_id
) as spent using (user_id)
