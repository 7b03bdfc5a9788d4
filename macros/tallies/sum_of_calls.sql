{#-
    Calls of the model that wrote the SQL and of the one that worded the response, and their tokens. A call was made where the
    model or any of its tokens is logged.
-#}
{% macro sum_of_calls() -%}
    {%- for call in ["sql", "response"] %}
    coalesce(sum(sign) filter (
        where {{ call }}_model != ''
            or num_nonnulls({{ call }}_input_tokens, {{ call }}_cached_tokens, {{ call }}_output_tokens) > 0
    ), 0)::bigint as {{ call }}_call_count,
    {%- for kind in ["input", "cached", "output"] %}
    coalesce(sum(sign * {{ call }}_{{ kind }}_tokens::bigint), 0)::bigint as {{ call }}_{{ kind }}_tokens
    {%- if not loop.last %},{% endif %}
    {%- endfor %}
    {%- if not loop.last %},{% endif %}
    {%- endfor %}
{%- endmacro %}
