{% macro calls_of(rollup, keys) -%}
    select
        {% for key in keys %}{{ rollup }}.{{ key }}, {% endfor %}
        call.step,
        coalesce(nullif(labels.label, ''), 'unknown') as model,
        max(call.model_id) as model_id,
        sum(call.call_count)::bigint as call_count,
        sum(call.bounded_call_count)::bigint as bounded_call_count,
        sum(call.input_tokens)::bigint as input_tokens,
        sum(call.cached_input_tokens)::bigint as cached_input_tokens,
        sum(call.output_tokens)::bigint as output_tokens
    from {{ rollup }}
    cross join lateral (
        values
        {%- for call, step in [("sql", "sql_generation"), ("response", "response_generation")] %}
        (
            '{{ step }}',
            {{ rollup }}.{{ call }}_model,
            {{ rollup }}.{{ call }}_call_count,
            {{ rollup }}.{{ call }}_bounded_call_count,
            {{ rollup }}.{{ call }}_input_tokens,
            {{ rollup }}.{{ call }}_cached_tokens,
            {{ rollup }}.{{ call }}_output_tokens
        ){% if not loop.last %},{% endif %}
        {%- endfor %}
    ) as call (
        step, model_id, call_count, bounded_call_count, input_tokens, cached_input_tokens, output_tokens
    )
    inner join {{ source("rollups", "labels") }} as labels on call.model_id = labels.id
    where call.call_count > 0
    group by
        {% for key in keys %}{{ rollup }}.{{ key }}, {% endfor -%}
        call.step, coalesce(nullif(labels.label, ''), 'unknown')
{%- endmacro %}
