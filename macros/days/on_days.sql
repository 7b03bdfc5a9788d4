{#-
    The first two conditions are for the index on the time, with a margin for clocks that are set back at midnight. The third
    condition decides. It is a CASE, because the planner assumes that a CASE is true for half of the rows. For a second range
    it would assume one row and choose nested loops.
-#}
{% macro on_days(moment, first, last) -%}
    {%- set timezone = var("report_timezone") -%}
    {{ moment }} >= ({{ first }})::timestamp at time zone '{{ timezone }}' - interval '6 hours'
    and {{ moment }} < ({{ last }} + 1)::timestamp at time zone '{{ timezone }}' + interval '6 hours'
    and case when {{ day_of(moment) }} between {{ first }} and {{ last }} then true end
{%- endmacro %}
