-- How do the last seven complete days compare with the seven before them?
with

today as (
    select max(as_of) as as_of
    from chat_reports.report_freshness
),

weeks as (
    select
        'last_7_complete_days' as period,
        as_of - 7 as first_day,
        as_of - 1 as last_day
    from today
    union all
    select
        'previous_7_complete_days' as period,
        as_of - 14 as first_day,
        as_of - 8 as last_day
    from today
),

requests as (
    select
        weeks.period,
        coalesce(sum(off_topic.request_count), 0)::bigint as request_count,
        coalesce(sum(off_topic.off_topic_count), 0)::bigint as off_topic_count
    from weeks
    left join chat_reports.off_topic on off_topic.day between weeks.first_day and weeks.last_day
    group by weeks.period
),

failures as (
    select
        weeks.period,
        coalesce(sum(errors.request_count), 0)::bigint as error_count
    from weeks
    left join chat_reports.errors
        on
            errors.day between weeks.first_day and weeks.last_day
            and errors.error_type not in ('none', 'cancelled')
    group by weeks.period
),

calls as (
    select
        weeks.period,
        coalesce(sum(token_cost.call_count), 0)::bigint as call_count,
        -- Without calls the cost is 0. If no call has a price, the cost is unknown: null.
        case when count(token_cost.day) = 0 then 0 else sum(token_cost.cost_usd) end as cost_usd,
        coalesce(sum(token_cost.cache_savings_usd), 0) as cache_savings_usd,
        coalesce(sum(token_cost.unpriced_call_count), 0)::bigint as unpriced_call_count,
        coalesce(sum(token_cost.bounded_call_count), 0)::bigint as bounded_call_count
    from weeks
    left join chat_reports.token_cost on token_cost.day between weeks.first_day and weeks.last_day
    group by weeks.period
)

select
    weeks.period,
    weeks.first_day,
    weeks.last_day,
    requests.request_count,
    calls.cost_usd,
    calls.cost_usd * 1000 / nullif(requests.request_count, 0) as cost_per_1000_requests_usd,
    calls.cache_savings_usd,
    calls.call_count,
    calls.unpriced_call_count,
    calls.bounded_call_count,
    failures.error_count,
    failures.error_count::double precision / nullif(requests.request_count, 0) as error_rate,
    requests.off_topic_count,
    requests.off_topic_count::double precision / nullif(requests.request_count, 0) as off_topic_rate,
    latency.p50_ms as p50_ttfb_ms,
    latency.p95_ms as p95_ttfb_ms
from weeks
inner join requests on weeks.period = requests.period
inner join failures on weeks.period = failures.period
inner join calls on weeks.period = calls.period
left join chat_reports.latency on weeks.period = latency.period and latency.step = 'ttfb'
order by weeks.first_day desc;
