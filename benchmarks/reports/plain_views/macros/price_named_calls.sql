{#-
    Adds the price to calls, by the name of the model. Only a name without a price on the day is looked up without the date
    at its end. The log of the benchmark has no names with a prefix.
-#}
{% macro price_named_calls(calls, prices) -%}
    select
        calls.*,
        coalesce(named.price_match, case when undated.name is null then 'unpriced' else 'undated' end) as price_match,
        {{ cost_columns('calls', 'price') }}
    from {{ calls }} as calls
    left join {{ prices }} as named
        on
            calls.model = named.name
            and calls.day >= named.valid_from
            and calls.day < named.valid_until
    left join {{ prices }} as undated
        on
            named.name is null
            and calls.undated = undated.name
            and calls.day >= undated.valid_from
            and calls.day < undated.valid_until
    cross join lateral (
        select
            coalesce(named.input_usd_per_mtok, undated.input_usd_per_mtok) as input_usd_per_mtok,
            coalesce(named.cached_input_usd_per_mtok, undated.cached_input_usd_per_mtok) as cached_input_usd_per_mtok,
            coalesce(named.output_usd_per_mtok, undated.output_usd_per_mtok) as output_usd_per_mtok
    ) as price
{%- endmacro %}
