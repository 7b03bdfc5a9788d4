{#-
    Up to `reconcile_days` random days of those that the log or the tally has, chosen anew by each test; none for all of them
    (`reconcile_all`). From one day to the next by index, so that choosing costs what there are days, not rows.
-#}
{% macro days_to_reconcile(tally) -%}
    {%- set log = source("chat", "chat_telemetry_log") -%}
    {%- if var("reconcile_all") -%}
        {{- return(none) -}}
    {%- elif not execute -%}
        {{- return([]) -}}
    {%- endif -%}
    {%- set days_query -%}
        with recursive days (day) as (
            select least((select {{ day_of("min(created_at)") }} from {{ log }}), (select min(day) from {{ tally }}))
            union
            select least(
                (select {{ day_of("min(created_at)") }} from {{ log }} where created_at >= {{ start_of_day("days.day + 1") }}),
                (select min(day) from {{ tally }} where day > days.day)
            )
            from days
            where day is not null
        )
        select day::text from days where day is not null order by random() limit {{ var("reconcile_days") }}
    {%- endset -%}
    {{- return(run_query(days_query).columns["day"].values() | list) -}}
{%- endmacro %}
