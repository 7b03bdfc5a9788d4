{#- Plain SQL can write a time that PostgreSQL cannot convert to a day. Such a row must not stop a run. -#}
{% macro day_of(moment) -%}
    (
        greatest(least({{ moment }}, '9999-12-30 00:00:00+00'), '1999-12-30 00:00:00+00')
        at time zone '{{ var("report_timezone") }}'
    )::date
{%- endmacro %}
