-- Which calls of a model did each chat request make, and how many tokens went in and out?
with

requests as (
    select * from {{ ref('stg_chat_requests') }}
)

select
    requests.log_id,
    requests.user_id,
    requests.created_at,
    requests.day,
    requests.sql_model,
    requests.response_model,
    call_of_step.step,
    coalesce(call_of_step.model, 'unknown') as model,
    coalesce(call_of_step.input_tokens, 0) as input_tokens,
    coalesce(call_of_step.cached_input_tokens, 0) as cached_input_tokens,
    coalesce(call_of_step.output_tokens, 0) as output_tokens
from requests
cross join
    lateral (
        values
        (
            'sql_generation',
            requests.sql_model,
            requests.sql_input_tokens,
            requests.sql_cached_tokens,
            requests.sql_output_tokens
        ),
        (
            'response_generation',
            requests.response_model,
            requests.response_input_tokens,
            requests.response_cached_tokens,
            requests.response_output_tokens
        )
    ) as call_of_step (step, model, input_tokens, cached_input_tokens, output_tokens)
where num_nonnulls(
    call_of_step.model, call_of_step.input_tokens, call_of_step.cached_input_tokens, call_of_step.output_tokens
) > 0
