-- How many chat requests had each day, how many failed or were off topic, and what did they cost?
with

failures as (
    select
        day,
        sum(request_count)::bigint as error_count
    from chat_reports.errors
    where error_type not in ('none', 'cancelled')
    group by day
),

calls as (
    select
        day,
        sum(call_count)::bigint as call_count,
        sum(cost_usd) as cost_usd,
        sum(unpriced_call_count)::bigint as unpriced_call_count,
        sum(bounded_call_count)::bigint as bounded_call_count
    from chat_reports.token_cost
    group by day
)

select
    off_topic.day,
    off_topic.request_count,
    coalesce(failures.error_count, 0) as error_count,
    coalesce(failures.error_count, 0)::double precision / off_topic.request_count as error_rate,
    off_topic.off_topic_count,
    off_topic.off_topic_rate,
    coalesce(calls.call_count, 0) as call_count,
    -- Without calls the cost is 0. If no call has a price, the cost is unknown: null.
    case when calls.day is null then 0 else calls.cost_usd end as cost_usd,
    coalesce(calls.unpriced_call_count, 0) as unpriced_call_count,
    coalesce(calls.bounded_call_count, 0) as bounded_call_count
from chat_reports.off_topic
left join failures on off_topic.day = failures.day
left join calls on off_topic.day = calls.day
order by off_topic.day desc;
