{#-
    The index on the time finds the rows by the first two conditions, which leave room for clocks that are set back at midnight;
    the day decides. It stands in a CASE, of which the planner expects half of the rows: a second range would make it expect
    one row in all, and join that in nested loops.
-#}
{% macro on_days(moment, first, last) -%}
    {%- set timezone = var("report_timezone") -%}
    {{ moment }} >= ({{ first }})::timestamp at time zone '{{ timezone }}' - interval '6 hours'
    and {{ moment }} < ({{ last }} + 1)::timestamp at time zone '{{ timezone }}' + interval '6 hours'
    and case when {{ day_of(moment) }} between {{ first }} and {{ last }} then true end
{%- endmacro %}
