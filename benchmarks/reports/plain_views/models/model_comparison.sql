-- Which pair of models is best: how fast, how reliable and at what cost per chat request?
with

requests as (
    select * from {{ ref('requests') }}
    where {{ since(29) }}
),

model_calls as (
    select * from {{ ref('model_calls') }}
    where {{ since(29) }}
),

prices as (
    select * from {{ ref('price_periods') }}
),

periods as (
    select * from {{ ref('periods') }}
    {%- if var("whole_log") %}
    union all
    select 'ever' as period, '-infinity'::date as first_day, 'infinity'::date as last_day
    {%- endif %}
),

{% set durations = {
    'nl_to_sql': 'nl_to_sql_duration_ms',
    'sql_execution': 'sql_execution_duration_ms',
    'response_generation': 'response_generation_duration_ms',
    'ttfb': 'ttfb_ms',
} %}
outcomes as (
    select
        periods.period,
        coalesce(requests.sql_model, 'none') as sql_model,
        coalesce(requests.response_model, 'none') as response_model,
        count(*) as request_count,
        count(*) filter (where requests.error_type <> 'cancelled') as error_count
        {%- for step, column in durations.items() %},
        (sum(requests.{{ column }}) filter (where requests.error_type is null))::double precision
            / nullif(count(requests.{{ column }}) filter (where requests.error_type is null), 0) as avg_{{ step }}_ms,
        percentile_cont(0.95) within group (order by requests.{{ column }})
            filter (where requests.error_type is null) as p95_{{ step }}_ms
        {%- endfor %}
    from periods
    inner join requests on requests.day between periods.first_day and periods.last_day
    group by periods.period, coalesce(requests.sql_model, 'none'), coalesce(requests.response_model, 'none')
),

daily_calls as (
    select
        day,
        coalesce(sql_model, 'none') as sql_model,
        coalesce(response_model, 'none') as response_model,
        model,
        {{ undated('model') }} as undated,
        count(*) as call_count,
        count(*) filter (where is_bounded) as bounded_call_count,
        sum(input_tokens) as input_tokens,
        sum(cached_input_tokens) as cached_input_tokens,
        sum(output_tokens) as output_tokens
    from model_calls
    group by day, coalesce(sql_model, 'none'), coalesce(response_model, 'none'), model
),

priced_calls as (
    {{ price_named_calls('daily_calls', 'prices') }}
),

spending as (
    select
        periods.period,
        priced_calls.sql_model,
        priced_calls.response_model,
        sum(priced_calls.input_tokens)::bigint as input_tokens,
        sum(priced_calls.cached_input_tokens)::bigint as cached_input_tokens,
        sum(priced_calls.output_tokens)::bigint as output_tokens,
        sum(priced_calls.cost_usd) as cost_usd,
        sum(priced_calls.unpriced_call_count)::bigint as unpriced_call_count,
        sum(priced_calls.bounded_call_count)::bigint as bounded_call_count
    from periods
    inner join priced_calls on priced_calls.day between periods.first_day and periods.last_day
    group by periods.period, priced_calls.sql_model, priced_calls.response_model
),

-- Without calls the cost is 0. If no call has a price, the cost is unknown: null.
combined as (
    select
        outcomes.*,
        coalesce(spending.input_tokens, 0) as input_tokens,
        coalesce(spending.cached_input_tokens, 0) as cached_input_tokens,
        coalesce(spending.output_tokens, 0) as output_tokens,
        case when spending.period is null then 0 else spending.cost_usd end as cost_usd,
        coalesce(spending.unpriced_call_count, 0) as unpriced_call_count,
        coalesce(spending.bounded_call_count, 0) as bounded_call_count
    from outcomes
    left join spending
        on
            outcomes.period = spending.period
            and outcomes.sql_model = spending.sql_model
            and outcomes.response_model = spending.response_model
)

select
    period,
    sql_model,
    response_model,
    request_count,
    error_count,
    error_count::double precision / request_count as error_rate,
    {%- for step in durations %}
    avg_{{ step }}_ms,
    p95_{{ step }}_ms,
    {%- endfor %}
    input_tokens,
    cached_input_tokens,
    output_tokens,
    {{ as_money('cost_usd') }} as cost_usd,
    {{ as_money('cost_usd / request_count') }} as cost_per_request_usd,
    unpriced_call_count,
    bounded_call_count
from combined
