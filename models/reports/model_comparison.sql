-- Which pair of models is best: how fast, how reliable and at what cost per chat request?
{% set steps = latency_steps() %}
{% set pair = ["sql_model", "response_model"] %}
{% set cost = "(case when spending.period is null then 0 else spending.cost_usd end)" %}

with

requests as (
    select * from {{ ref('daily_requests') }}
    where {{ is_in_any_period('day', as_of('window_durations')) }}
),

durations as (
    select * from {{ ref('window_durations') }}
    where duration_ms >= 0
),

prices as (
    select * from {{ ref('price_periods') }}
),

-- A request without a model and a model with the name none are shown as one model.
models as (
    select
        id,
        coalesce(nullif(label, ''), 'none') as name,
        min(id) over (partition by coalesce(nullif(label, ''), 'none')) as shown_id
    from {{ source('rollups', 'labels') }}
),

days as (
    select distinct day from requests
),

periods as (
    {%- for period in report_periods() %}
        select
            '{{ period }}' as period_name,
            day
        from days
        where {{ is_in_period('day', period, as_of('window_durations')) }}
        {%- if not loop.last %}
            union all
        {%- endif %}
    {%- endfor %}
),

outcomes as (
    select
        periods.period_name as period,
        sql_models.shown_id as sql_model,
        response_models.shown_id as response_model,
        sum(requests.request_count)::bigint as request_count,
        coalesce(sum(requests.request_count) filter (
            where {{ is_error('requests.error_type') }}
        ), 0)::bigint as error_count
    from periods
    inner join requests on periods.day = requests.day
    inner join models as sql_models on requests.sql_model = sql_models.id
    inner join models as response_models on requests.response_model = response_models.id
    group by 1, 2, 3
),

counts as (
    select
        durations.step,
        sql_models.shown_id as sql_model,
        response_models.shown_id as response_model,
        durations.duration_ms,
        {%- for period in report_periods() %}
            sum(durations.{{ period }})::integer as {{ period }}
            {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from durations
    inner join models as sql_models on durations.sql_model = sql_models.id
    inner join models as response_models on durations.response_model = response_models.id
    group by 1, 2, 3, 4
),

measured as (
    {{ measure_periods('counts', ['step'] + pair, {"p95_ms": "0.95"}) }}
),

latency as (
    select
        measured.period,
        measured.sql_model,
        measured.response_model,
        {%- for step in steps %}
            max(measured.avg_ms) filter (where measured.step = {{ loop.index }}) as avg_{{ step }}_ms,
            max(measured.p95_ms) filter (where measured.step = {{ loop.index }}) as p95_{{ step }}_ms
            {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from measured
    group by 1, 2, 3
),

calls as (
    {{ calls_of('requests', ['day'] + pair) }}
),

priced_calls as (
    {{ price_calls('calls', 'prices') }}
),

spending as (
    select
        periods.period_name as period,
        sql_models.shown_id as sql_model,
        response_models.shown_id as response_model,
        sum(priced_calls.input_tokens)::bigint as input_tokens,
        sum(priced_calls.cached_input_tokens)::bigint as cached_input_tokens,
        sum(priced_calls.output_tokens)::bigint as output_tokens,
        sum(priced_calls.cost_usd) as cost_usd,
        sum(priced_calls.unpriced_call_count)::bigint as unpriced_call_count,
        sum(priced_calls.bounded_call_count)::bigint as bounded_call_count
    from periods
    inner join priced_calls on periods.day = priced_calls.day
    inner join models as sql_models on priced_calls.sql_model = sql_models.id
    inner join models as response_models on priced_calls.response_model = response_models.id
    group by 1, 2, 3
)

select
    outcomes.period,
    sql_models.name as sql_model,
    response_models.name as response_model,
    outcomes.request_count,
    outcomes.error_count,
    outcomes.error_count::double precision / outcomes.request_count as error_rate,
    {%- for step in steps %}
        latency.avg_{{ step }}_ms,
        latency.p95_{{ step }}_ms,
    {%- endfor %}
    coalesce(spending.input_tokens, 0) as input_tokens,
    coalesce(spending.cached_input_tokens, 0) as cached_input_tokens,
    coalesce(spending.output_tokens, 0) as output_tokens,
    -- Without calls the cost is 0. If no call has a price, the cost is unknown: null.
    {{ as_money(cost) }} as cost_usd,
    {{ as_money(cost ~ ' / outcomes.request_count') }} as cost_per_request_usd,
    coalesce(spending.unpriced_call_count, 0) as unpriced_call_count,
    coalesce(spending.bounded_call_count, 0) as bounded_call_count
from outcomes
inner join models as sql_models on outcomes.sql_model = sql_models.id
inner join models as response_models on outcomes.response_model = response_models.id
left join latency
    on
        outcomes.period = latency.period
        and outcomes.sql_model = latency.sql_model
        and outcomes.response_model = latency.response_model
left join spending
    on
        outcomes.period = spending.period
        and outcomes.sql_model = spending.sql_model
        and outcomes.response_model = spending.response_model
