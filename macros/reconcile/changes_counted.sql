{% macro changes_counted(rollup) -%}
    {%- set drained = source("rollups", "drained_changes") -%}
    {%- set columns = [] -%}
    {%- if execute -%}
        {%- for column in adapter.get_columns_in_relation(drained) if column.name not in ("drain_number", "sign") -%}
            {%- do columns.append(column.name) -%}
        {%- endfor -%}
    {%- endif -%}
    (
        select sign, {{ columns | join(", ") }} from {{ source("rollups", "log_as_drained") }}
        union all
        select -sign as sign, {{ columns | join(", ") }} from {{ drained }}
        where drain_number > (select drain_number from {{ source("rollups", "progress") }} where name = '{{ rollup }}')
    ) as changes
{%- endmacro %}
