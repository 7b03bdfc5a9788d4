{#-
    The day on which `moment` (a timestamptz) falls in the report time zone. An impossible time, which plain SQL can write,
    falls on a day before 2000 or on the last days of 9999, so that no time stops a run.
-#}
{% macro day_of(moment) -%}
    (
        greatest(least({{ moment }}, '9999-12-30 00:00:00+00'), '1999-12-30 00:00:00+00')
        at time zone '{{ var("report_timezone") }}'
    )::date
{%- endmacro %}
