-- Chat requests with plausible widths and distributions: eight pairs of models, 6 % errors, 8 % off-topic questions,
-- lognormal durations, SQL of about 300 characters in 20,000 patterns of which few are frequent.
--
-- The name in braces below is replaced by a select of user_id and created_at, one row per request.
insert into public.chat_telemetry_log (
    log_id, user_id, conversation_id, response_id, created_at, user_question, ai_response, generated_sql,
    sql_fingerprint, result_row_count, follow_up_suggestions, error_type, error_message, failed_step, is_off_topic,
    sql_model, response_model, nl_to_sql_duration_ms, sql_execution_duration_ms, response_generation_duration_ms,
    ttfb_ms, sql_input_tokens, sql_output_tokens, sql_cached_tokens, response_input_tokens, response_output_tokens,
    response_cached_tokens
)
with asked as ({requests}),

drawn as (
    select
        user_id,
        created_at,
        width_bucket(random(), array[0, 0.35, 0.55, 0.68, 0.79, 0.87, 0.93, 0.98]) as pair,
        width_bucket(random(), array[0, 0.02, 0.035, 0.05, 0.055, 0.06]) as outcome,
        random() < 0.08 as is_off_topic,
        floor(power(20000, random()))::integer as pattern,
        floor(power(1000, random()))::integer - 1 as result_row_count,
        exp(random_normal(7.1, 0.5))::integer as nl_to_sql_duration_ms,
        exp(random_normal(4.1, 1.0))::integer as sql_execution_duration_ms,
        exp(random_normal(7.7, 0.5))::integer as response_generation_duration_ms,
        exp(random_normal(6.0, 0.4))::integer as first_byte_ms,
        1800 + floor(random() * 1200)::integer as sql_input_tokens,
        60 + floor(random() * 200)::integer as sql_output_tokens,
        600 + floor(random() * 2500)::integer as response_input_tokens,
        80 + floor(random() * 400)::integer as response_output_tokens,
        random() < 0.6 as is_cached
    from asked
),

told as (
    select
        *,
        (array['sql_generation', 'sql_validation', 'sql_execution', 'response_generation', 'unexpected', null])[outcome]
        as error_type,
        (array['understanding', 'understanding', 'looking_up', 'response', 'response', null])[outcome] as failed_step,
        case
            when is_off_topic or outcome = 1 then null
            else format(
                'select c.region, c.segment, date_trunc(''week'', o.ordered_at) as week, sum(o.amount_usd) as revenue_usd, '
                'count(distinct o.customer_id) as customers from sales.orders as o inner join sales.customers as c '
                'on o.customer_id = c.customer_id where c.territory = %s and o.ordered_at >= date ''2026-01-01'' '
                'group by 1, 2, 3 order by 4 desc',
                pattern
            )
        end as generated_sql
    from drawn
)

select
    uuidv7(created_at - clock_timestamp()),
    user_id,
    null,
    'resp_' || md5(created_at::text),
    created_at,
    'How much revenue did territory ' || pattern || ' bring in this year, week by week and by segment?',
    case when outcome = 6 then
        'Revenue in territory ' || pattern || ' rose over the year. The largest segment was enterprise, followed by the public '
        'sector; small businesses stayed level. The best week brought 1.2 million dollars from 312 customers.'
    end,
    generated_sql,
    md5(lower(regexp_replace(generated_sql, '\s+', ' ', 'g'))),
    case when generated_sql is not null and outcome = 6 then result_row_count end,
    '["And the year before?", "Which customers grew most?", "Show it by month."]'::jsonb,
    error_type,
    case when error_type is not null then 'column c.territory does not exist' end,
    failed_step,
    is_off_topic,
    (array[
        'gpt-4o-mini-2024-07-18', 'gpt-4o-2024-08-06', 'claude-sonnet-4-20250514', 'gemini-2.5-flash', 'gpt-4.1-mini',
        'gpt-4o-mini-2024-07-18', 'claude-sonnet-4-20250514', 'in-house-llm-7b'
    ])[pair],
    (array[
        'gpt-4o-mini-2024-07-18', 'gpt-4o-mini-2024-07-18', 'claude-3-5-haiku-latest', 'gemini-2.5-flash', 'gpt-4.1-mini',
        'gpt-4o-2024-08-06', 'claude-sonnet-4-20250514', 'in-house-llm-7b'
    ])[pair],
    nl_to_sql_duration_ms,
    case when generated_sql is not null then sql_execution_duration_ms end,
    case when outcome = 6 then response_generation_duration_ms end,
    case when outcome = 6 then nl_to_sql_duration_ms + sql_execution_duration_ms + first_byte_ms end,
    sql_input_tokens,
    sql_output_tokens,
    case when is_cached then sql_input_tokens - sql_input_tokens % 128 else 0 end,
    case when outcome = 6 then response_input_tokens end,
    case when outcome = 6 then response_output_tokens end,
    case when outcome = 6 then 0 end
from told
