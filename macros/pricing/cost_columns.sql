{% macro cost_columns(calls, price) -%}
    (
        ({{ calls }}.input_tokens - {{ calls }}.cached_input_tokens) * {{ price }}.input_usd_per_mtok
        + {{ calls }}.cached_input_tokens * {{ price }}.cached_input_usd_per_mtok
        + {{ calls }}.output_tokens * {{ price }}.output_usd_per_mtok
    ) / 1e6 as cost_usd,
    {{ calls }}.cached_input_tokens * ({{ price }}.input_usd_per_mtok - {{ price }}.cached_input_usd_per_mtok) / 1e6
        as cache_savings_usd,
    case when {{ price }}.input_usd_per_mtok is null then {{ calls }}.call_count else 0 end as unpriced_call_count
{%- endmacro %}
