{% macro price_calls(calls, prices) -%}
    select
        calls.*,
        coalesce(price.price_match, 'unpriced') as price_match,
        {{ cost_columns('calls', 'price') }}
    from {{ calls }} as calls
    left join {{ prices }} as price
        on
            calls.model_id = price.model
            and calls.day >= price.valid_from
            and calls.day < price.valid_until
{%- endmacro %}
