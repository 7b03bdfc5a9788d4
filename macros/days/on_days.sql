{#-
    Whether `moment` falls on a day from `first` to `last` (dates). The index on the time finds the rows by the first two
    conditions, which leave room for clocks that are set back; the day decides.

    The day stands in a CASE, which the planner takes for half of the rows. A second range it would take for a two-hundredth of
    them, and then join what it believes to be one row in nested loops.
-#}
{% macro on_days(moment, first, last) -%}
    {%- set timezone = var("report_timezone") -%}
    {{ moment }} >= ({{ first }})::timestamp at time zone '{{ timezone }}' - interval '6 hours'
    and {{ moment }} < ({{ last }} + 1)::timestamp at time zone '{{ timezone }}' + interval '6 hours'
    and case when {{ day_of(moment) }} between {{ first }} and {{ last }} then true end
{%- endmacro %}
