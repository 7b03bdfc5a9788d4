{#-
    The index on the time finds the rows by the first two conditions, which leave room for clocks that are set back at midnight;
    the day decides.
-#}
{% macro on_days(moment, first, last) -%}
    {%- set timezone = var("report_timezone") -%}
    {{ moment }} >= ({{ first }})::timestamp at time zone '{{ timezone }}' - interval '6 hours'
    and {{ moment }} < ({{ last }} + 1)::timestamp at time zone '{{ timezone }}' + interval '6 hours'
    and {{ day_of(moment) }} between {{ first }} and {{ last }}
{%- endmacro %}
