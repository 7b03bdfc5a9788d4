with windowed as (
    select
        requests.*,
        period,
        coalesce(sql_model, 'none') as sql_model_name,
        coalesce(response_model, 'none') as response_model_name
    from requests
    inner join (
        values
        ('last_7_days', 6, 0), ('last_30_days', 29, 0), ('last_7_complete_days', 7, 1), ('previous_7_complete_days', 14, 8)
    ) as window_of (period, first, last)
        on day between %(report_as_of)s::date - first and %(report_as_of)s::date - last
),

spent as (
    select
        windowed.period,
        windowed.sql_model_name,
        windowed.response_model_name,
        count(*) as call_count,
        sum(input) as input_tokens,
        sum(cached) as cached_input_tokens,
        sum(output) as output_tokens,
        sum(micro_usd) / 1e6 as cost_usd,
        count(*) filter (where price_match = 'unpriced') as unpriced_call_count,
        count(*) filter (where is_bounded) as bounded_call_count
    from priced_calls
    inner join windowed using (log_id)
    group by 1, 2, 3
)

select
    period,
    sql_model_name as sql_model,
    response_model_name as response_model,
    count(*) as request_count,
    count(*) filter (where is_error) as error_count,
    (count(*) filter (where is_error))::double precision / count(*) as error_rate,
    (sum(nl_to_sql_duration_ms) filter (where error_type is null))::double precision
        / nullif(count(nl_to_sql_duration_ms) filter (where error_type is null), 0) as avg_nl_to_sql_ms,
    percentile_cont(0.95) within group (order by nl_to_sql_duration_ms)
        filter (where error_type is null) as p95_nl_to_sql_ms,
    (sum(sql_execution_duration_ms) filter (where error_type is null))::double precision
        / nullif(count(sql_execution_duration_ms) filter (where error_type is null), 0) as avg_sql_execution_ms,
    percentile_cont(0.95) within group (order by sql_execution_duration_ms)
        filter (where error_type is null) as p95_sql_execution_ms,
    (sum(response_generation_duration_ms) filter (where error_type is null))::double precision
        / nullif(count(response_generation_duration_ms) filter (where error_type is null), 0) as avg_response_generation_ms,
    percentile_cont(0.95) within group (order by response_generation_duration_ms)
        filter (where error_type is null) as p95_response_generation_ms,
    (sum(ttfb_ms) filter (where error_type is null))::double precision
        / nullif(count(ttfb_ms) filter (where error_type is null), 0) as avg_ttfb_ms,
    percentile_cont(0.95) within group (order by ttfb_ms) filter (where error_type is null) as p95_ttfb_ms,
    coalesce(max(spent.input_tokens), 0) as input_tokens,
    coalesce(max(spent.cached_input_tokens), 0) as cached_input_tokens,
    coalesce(max(spent.output_tokens), 0) as output_tokens,
    round(case when max(spent.call_count) is null then 0 else max(spent.cost_usd) end, 10) as cost_usd,
    round(case when max(spent.call_count) is null then 0 else max(spent.cost_usd) end / count(*), 10)
        as cost_per_request_usd,
    coalesce(max(spent.unpriced_call_count), 0) as unpriced_call_count,
    coalesce(max(spent.bounded_call_count), 0) as bounded_call_count
from windowed
left join spent using (period, sql_model_name, response_model_name)
group by 1, 2, 3
