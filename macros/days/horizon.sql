{% macro horizon() -%}
    (
        select coalesce(max(horizon), '-infinity') from {{ source("rollups", "progress") }}
        where name = 'drained_changes'
    )
{%- endmacro %}
