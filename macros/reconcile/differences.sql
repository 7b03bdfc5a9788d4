{#- The rows in which two CTEs of the same columns differ, either way. -#}
{% macro differences(counted, tallied) -%}
    (
        select 'by the log' as counted, surplus.*
        from (select * from {{ counted }} except all select * from {{ tallied }}) as surplus
    )
    union all
    (
        select 'by the tally' as counted, surplus.*
        from (select * from {{ tallied }} except all select * from {{ counted }}) as surplus
    )
{%- endmacro %}
