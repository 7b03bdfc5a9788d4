-- Which pair of models answers best: how fast, how reliably and at what cost per chat request?
{% set steps = ["nl_to_sql", "sql_execution", "response_generation", "ttfb"] %}

with

requests as (
    select * from {{ ref('daily_requests') }}
    where day between {{ as_of() }} - 29 and {{ as_of() }}
),

latency as (
    select * from {{ ref('daily_latency') }}
    where day between {{ as_of() }} - 29 and {{ as_of() }}
),

prices as (
    select * from {{ ref('price_periods') }}
),

windows as (
    select * from {{ ref('report_windows') }}
),

outcomes as (
    select
        windows.period,
        requests.sql_model,
        requests.response_model,
        sum(requests.request_count)::bigint as request_count,
        coalesce(sum(requests.request_count) filter (where requests.error_type != ''), 0)::bigint as error_count
    from windows
    inner join requests on windows.period_start <= requests.day
    group by windows.period, requests.sql_model, requests.response_model
),

by_duration as (
    select
        step,
        sql_model,
        response_model,
        duration_ms,
        sum(request_count)::bigint as last_30_days,
        (sum(request_count) filter (where day >= {{ as_of() }} - 6))::bigint as last_7_days
    from latency
    group by step, sql_model, response_model, duration_ms
),

by_period as (
    select
        windows.period,
        by_duration.step,
        by_duration.sql_model,
        by_duration.response_model,
        by_duration.duration_ms,
        case windows.period
            when 'last_7_days' then by_duration.last_7_days
            else by_duration.last_30_days
        end as request_count
    from by_duration
    inner join windows on windows.period = 'last_30_days' or by_duration.last_7_days > 0
),

ranked as (
    select
        *,
        (sum(request_count) over (
            partition by period, step, sql_model, response_model order by duration_ms
        ))::bigint as up_to,
        (sum(request_count) over (partition by period, step, sql_model, response_model))::bigint as total
    from by_period
),

durations as (
    select
        period,
        step,
        sql_model,
        response_model,
        trim_scale(sum(duration_ms::bigint * request_count) / sum(request_count)) as avg_ms,
        {{ percentile('0.95') }} as p95_ms
    from ranked
    group by period, step, sql_model, response_model
),

durations_by_step as (
    select
        period,
        sql_model,
        response_model,
        {%- for step in steps %}
            max(avg_ms) filter (where step = '{{ step }}') as avg_{{ step }}_ms,
            max(p95_ms) filter (where step = '{{ step }}') as p95_{{ step }}_ms
            {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from durations
    group by period, sql_model, response_model
),

calls as (
    {{ calls_of('requests', ['day', 'sql_model', 'response_model']) }}
),

priced_calls as (
    {{ price_calls('calls', 'prices') }}
),

spending as (
    select
        windows.period,
        priced_calls.sql_model,
        priced_calls.response_model,
        sum(priced_calls.input_tokens)::bigint as input_tokens,
        sum(priced_calls.cached_input_tokens)::bigint as cached_input_tokens,
        sum(priced_calls.output_tokens)::bigint as output_tokens,
        sum(priced_calls.cost_usd) as cost_usd,
        sum(priced_calls.unpriced_call_count)::bigint as unpriced_call_count
    from windows
    inner join priced_calls on windows.period_start <= priced_calls.day
    group by windows.period, priced_calls.sql_model, priced_calls.response_model
),

combined as (
    select
        outcomes.period,
        coalesce(nullif(outcomes.sql_model, ''), 'none') as sql_model,
        coalesce(nullif(outcomes.response_model, ''), 'none') as response_model,
        outcomes.request_count,
        outcomes.error_count,
        {%- for step in steps %}
            durations_by_step.avg_{{ step }}_ms,
            durations_by_step.p95_{{ step }}_ms,
        {%- endfor %}
        coalesce(spending.input_tokens, 0) as input_tokens,
        coalesce(spending.cached_input_tokens, 0) as cached_input_tokens,
        coalesce(spending.output_tokens, 0) as output_tokens,
        -- No calls cost nothing; calls of which none has a price cost nobody knows what.
        case when spending.period is null then 0 else spending.cost_usd end as cost_usd,
        coalesce(spending.unpriced_call_count, 0) as unpriced_call_count
    from outcomes
    left join durations_by_step
        on
            outcomes.period = durations_by_step.period
            and outcomes.sql_model = durations_by_step.sql_model
            and outcomes.response_model = durations_by_step.response_model
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
    trim_scale(error_count::numeric / request_count) as error_rate,
    {%- for step in steps %}
        avg_{{ step }}_ms,
        p95_{{ step }}_ms,
    {%- endfor %}
    input_tokens,
    cached_input_tokens,
    output_tokens,
    cost_usd,
    trim_scale(round(cost_usd / request_count, 10)) as cost_per_request_usd,
    unpriced_call_count
from combined
