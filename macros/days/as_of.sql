{#- The last day that counts, as the drain or the rollup `name` noted it: all of a run looks back from the same day. -#}
{% macro as_of(name="drained_changes") -%}
    (select as_of from {{ source("rollups", "progress") }} where name = '{{ name }}')
{%- endmacro %}
