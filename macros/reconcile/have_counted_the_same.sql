{#- In the middle of a run they have not, and comparing them would be a false alarm. -#}
{% macro have_counted_the_same(rollups) -%}
    (
        select count(distinct (drain_number, generation)) = 1
        from {{ source("rollups", "progress") }}
        where name in ('{{ rollups | join("', '") }}')
    )
{%- endmacro %}
