{% macro alert_rows(values, variable) -%}
    select
        subject,
        value::numeric as value,
        {{ alert_bound(variable) }} as bound
    from {{ values }}
    where value is null or value > {{ alert_bound(variable) }}
{%- endmacro %}
