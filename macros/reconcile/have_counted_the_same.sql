{#- In the middle of a run this is false, and a comparison would be a false alarm. -#}
{% macro have_counted_the_same(rollups) -%}
    (
        select count(distinct (drain_number, generation)) = 1
        from {{ source("rollups", "progress") }}
        where name in ('{{ rollups | join("', '") }}')
    )
{%- endmacro %}
