{#- The first moment of `day` (a date) in the report time zone: compared with created_at itself, it lets an index serve. -#}
{% macro start_of_day(day) -%}
    (({{ day }})::timestamp at time zone '{{ var("report_timezone") }}')
{%- endmacro %}
