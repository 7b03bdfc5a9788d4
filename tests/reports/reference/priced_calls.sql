-- One row per model call with its price: exact name, alias, name less its date; of these the latest valid_from.
-- An empty name is none.
requests as (
    select
        log_id,
        user_id,
        created_at,
        (created_at at time zone %(report_timezone)s)::date as day,
        generated_sql,
        sql_fingerprint,
        result_row_count,
        nullif(error_type, '') as error_type,
        nullif(failed_step, '') as failed_step,
        is_off_topic,
        nullif(sql_model, '') as sql_model,
        nullif(response_model, '') as response_model,
        nl_to_sql_duration_ms,
        sql_execution_duration_ms,
        response_generation_duration_ms,
        ttfb_ms,
        sql_input_tokens,
        sql_output_tokens,
        sql_cached_tokens,
        response_input_tokens,
        response_output_tokens,
        response_cached_tokens
    from public.chat_telemetry_log
    where (created_at at time zone %(report_timezone)s)::date <= %(report_as_of)s::date
),

calls as (
    select
        requests.*,
        call.step,
        coalesce(call.named, 'unknown') as model,
        coalesce(call.input, 0) as input,
        coalesce(call.cached, 0) as cached,
        coalesce(call.output, 0) as output
    from requests
    cross join lateral (
        values
        ('sql_generation', sql_model, sql_input_tokens, sql_cached_tokens, sql_output_tokens),
        (
            'response_generation', response_model, response_input_tokens, response_cached_tokens,
            response_output_tokens
        )
    ) as call (step, named, input, cached, output)
    where num_nonnulls(call.named, call.input, call.cached, call.output) > 0
),

prices as materialized (
    select
        called.model,
        called.day,
        price.*
    from (select distinct model, day from calls) as called
    cross join lateral (
        select regexp_replace(called.model, '[-@]20[0-9]{2}-?[0-9]{2}-?[0-9]{2}$', '') as undated
    ) as name
    cross join lateral (
        select
            candidate.price_match,
            token_prices.input_usd_per_mtok as input_price,
            coalesce(token_prices.cached_input_usd_per_mtok, token_prices.input_usd_per_mtok) as cached_price,
            token_prices.output_usd_per_mtok as output_price
        from (
            values
            (1, 'exact', called.model),
            (2, 'alias', (select a.model from chat_tallies.model_aliases as a where a.alias = called.model)),
            (3, 'undated', name.undated),
            (4, 'undated', (select a.model from chat_tallies.model_aliases as a where a.alias = name.undated))
        ) as candidate (rank, price_match, model)
        inner join chat_tallies.token_prices
            on token_prices.model = candidate.model and token_prices.valid_from <= called.day
        order by candidate.rank, token_prices.valid_from desc
        limit 1
    ) as price
),

priced_calls as (
    select
        calls.*,
        coalesce(price_match, 'unpriced') as price_match,
        (input - cached) * input_price + cached * cached_price + output * output_price as micro_usd,
        cached * (input_price - cached_price) as saved_micro_usd
    from calls
    left join prices using (model, day)
)
