{% macro as_of(name="drained_changes") -%}
    (select as_of from {{ source("rollups", "progress") }} where name = '{{ name }}')
{%- endmacro %}
