-- Which model calls did each chat request make, and with how many input and output tokens?
with

requests as (
    select * from {{ ref('requests') }}
)

select
    requests.log_id,
    requests.user_id,
    requests.created_at,
    requests.day,
    requests.sql_model,
    requests.response_model,
    call.step,
    coalesce(call.model, 'unknown') as model,
    greatest(call.input_tokens, 0) as input_tokens,
    least(greatest(call.cached_input_tokens, 0), greatest(call.input_tokens, 0)) as cached_input_tokens,
    greatest(call.output_tokens, 0) as output_tokens,
    call.input_tokens < 0 or call.output_tokens < 0 or call.cached_input_tokens < 0
    or call.cached_input_tokens > greatest(call.input_tokens, 0) as is_bounded
from requests
cross join lateral (
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
) as call (step, model, input_tokens, cached_input_tokens, output_tokens)
where num_nonnulls(call.model, call.input_tokens, call.cached_input_tokens, call.output_tokens) > 0
