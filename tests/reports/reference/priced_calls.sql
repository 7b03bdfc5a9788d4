-- One row per model call with its price: exact name, alias, name without the prefix of its provider, without its date,
-- without both; of these the own prices first, then the latest valid_from. An empty name counts as no name. Impossible
-- values are bounded here: a time before 2000 counts nowhere, a negative duration is not measured, tokens are at least 0,
-- and cached tokens are at most the input tokens.
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
        coalesce(error_type, '') not in ('', 'cancelled') as is_error,
        nullif(failed_step, '') as failed_step,
        is_off_topic,
        nullif(sql_model, '') as sql_model,
        nullif(response_model, '') as response_model,
        case when nl_to_sql_duration_ms >= 0 then nl_to_sql_duration_ms end as nl_to_sql_duration_ms,
        case when sql_execution_duration_ms >= 0 then sql_execution_duration_ms end as sql_execution_duration_ms,
        case when response_generation_duration_ms >= 0 then response_generation_duration_ms end as response_generation_duration_ms,
        case when ttfb_ms >= 0 then ttfb_ms end as ttfb_ms,
        sql_input_tokens,
        sql_output_tokens,
        sql_cached_tokens,
        response_input_tokens,
        response_output_tokens,
        response_cached_tokens
    from public.chat_telemetry_log
    where
        created_at between '1999-12-30+00' and '9999-12-30+00' -- of what is further away PostgreSQL cannot tell the day
        and (created_at at time zone %(report_timezone)s)::date between '2000-01-01' and %(report_as_of)s::date
),

calls as (
    select
        requests.*,
        call.step,
        coalesce(call.named, 'unknown') as model,
        greatest(call.input, 0) as input,
        least(greatest(call.cached, 0), greatest(call.input, 0)) as cached,
        greatest(call.output, 0) as output,
        coalesce(call.input < 0 or call.cached < 0 or call.output < 0, false)
            or coalesce(call.cached, 0) > greatest(call.input, 0) as is_bounded
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

price_lists as (
    select
        (select min(t.provider) from chat_prices.token_prices as t where t.model = own_prices.model and t.source like 'genai-prices %%')
        as provider, model, valid_from, input_usd_per_mtok, cached_input_usd_per_mtok, output_usd_per_mtok,
        1 as owner_rank
    from chat_rollups.own_prices
    union all
    select
        case
            when source like 'genai-prices %%' then provider
            else (select min(t.provider) from chat_prices.token_prices as t where t.model = p.model and t.source like 'genai-prices %%')
        end, model, valid_from, input_usd_per_mtok,
        cached_input_usd_per_mtok, output_usd_per_mtok, case when source like 'genai-prices %%' then 3 else 2 end
    from chat_prices.token_prices as p
),

names as (
    select
        called.model,
        called.day,
        called.name,
        case called.prefix
            when 'gemini' then 'google' when 'models' then 'google' when 'xai' then 'x-ai' else called.prefix
        end as provider,
        array[
            called.name,
            called.bare_name,
            regexp_replace(called.name, date_at_the_end, ''),
            regexp_replace(called.bare_name, date_at_the_end, '')
        ] as searched
    from (
        select
            calls.model,
            calls.day,
            btrim(calls.model, E' \t\n\r') as name,
            substring(
                btrim(calls.model, E' \t\n\r')
                from '^(anthropic|deepseek|gemini|google|models|mistral|openai|x-ai|xai)/'
            ) as prefix,
            substring(
                btrim(calls.model, E' \t\n\r')
                from '^(?:anthropic|deepseek|gemini|google|models|mistral|openai|x-ai|xai)/(.*)'
            ) as bare_name
        from calls
        group by 1, 2
    ) as called
    cross join (
        select '[-@]20[0-9]{2}(-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])|(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01]))$'
    ) as pattern (date_at_the_end)
),

prices as materialized (
    select
        names.model,
        names.day,
        price.*
    from names
    cross join lateral (
        select
            case when place in (2, 4) then 'prefix' when place = 3 then 'undated' else candidate.kind end as price_match,
            price_lists.input_usd_per_mtok as input_price,
            coalesce(price_lists.cached_input_usd_per_mtok, price_lists.input_usd_per_mtok) as cached_price,
            price_lists.output_usd_per_mtok as output_price
        from unnest(names.searched) with ordinality as searched (name, place)
        cross join lateral (
            select 'exact' as kind, searched.name as model
            union all
            select 'alias', a.model from chat_prices.model_aliases as a where a.alias = searched.name
        ) as candidate
        inner join price_lists
            on price_lists.model = candidate.model
            and price_lists.valid_from <= names.day
            and (searched.place in (1, 3) or coalesce(price_lists.provider, names.provider) = names.provider)
        order by searched.place, candidate.kind desc, price_lists.owner_rank, price_lists.valid_from desc
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
