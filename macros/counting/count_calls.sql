{#-
    Some chat applications do not include cached tokens in input tokens, and plain SQL can write any number. The token counts
    of each call are bounded before they are summed, so that no cost is below 0: no count is below 0, and cached tokens are at
    most the input tokens.
-#}
{% macro count_calls() -%}
    {%- for call in ["sql", "response"] %}
    {%- set input, output = call ~ "_input_tokens", call ~ "_output_tokens" -%}
    {%- set cached = call ~ "_cached_tokens" -%}
    {%- set most -%} greatest({{ input }}, 0) {%- endset %}
    coalesce(sum(sign) filter (
        where {{ call }}_model != 0 or num_nonnulls({{ input }}, {{ cached }}, {{ output }}) > 0
    ), 0) as {{ call }}_call_count,
    coalesce(sum(sign) filter (
        where {{ input }} < 0 or {{ output }} < 0 or {{ cached }} < 0 or {{ cached }} > {{ most }}
    ), 0) as {{ call }}_bounded_call_count,
    coalesce(sum(sign * {{ most }}::bigint), 0) as {{ input }},
    coalesce(sum(sign * least(greatest({{ cached }}, 0), {{ most }})::bigint), 0) as {{ cached }},
    coalesce(sum(sign * greatest({{ output }}, 0)::bigint), 0) as {{ output }}
    {%- if not loop.last %},{% endif %}
    {%- endfor %}
{%- endmacro %}
