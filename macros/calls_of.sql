{#-
    The model calls counted in a tally, one row per key, step and model. A call whose model was not logged is unknown.

    tally: a CTE with the columns of sum_of_calls()
    keys: its columns to group by, beside step and model
-#}
{% macro calls_of(tally, keys) -%}
    select
        {% for key in keys %}{{ tally }}.{{ key }}, {% endfor %}
        call.step,
        call.model,
        sum(call.call_count)::bigint as call_count,
        sum(call.input_tokens)::bigint as input_tokens,
        sum(call.cached_input_tokens)::bigint as cached_input_tokens,
        sum(call.output_tokens)::bigint as output_tokens
    from {{ tally }}
    cross join lateral (
        values
        {%- for call, step in [("sql", "sql_generation"), ("response", "response_generation")] %}
        (
            '{{ step }}',
            coalesce(nullif({{ tally }}.{{ call }}_model, ''), 'unknown'),
            {{ tally }}.{{ call }}_call_count,
            {{ tally }}.{{ call }}_input_tokens,
            {{ tally }}.{{ call }}_cached_tokens,
            {{ tally }}.{{ call }}_output_tokens
        ){% if not loop.last %},{% endif %}
        {%- endfor %}
    ) as call (step, model, call_count, input_tokens, cached_input_tokens, output_tokens)
    where call.call_count > 0
    group by {% for key in keys %}{{ tally }}.{{ key }}, {% endfor %}call.step, call.model
{%- endmacro %}
