{#- Days of impossible times, before 2000 and after tomorrow, are always included. -#}
{% macro days_to_reconcile(rollup) -%}
    {%- if var("reconcile_all") or not execute -%}
        {{- return(none) -}}
    {%- endif -%}
    {%- set log = source("chat", "chat_telemetry_log") -%}
    {%- set tomorrow -%} (now() + interval '1 day') {%- endset -%}
    {%- set days_query -%}
        with span as (
            select
                least(
                    (select min(day) from {{ rollup }} where day >= {{ first_day() }}),
                    (
                        select {{ day_of("created_at") }} from {{ log }} where created_at >= {{ first_day() }}
                        order by created_at limit 1
                    )
                ) as first,
                greatest(
                    (select max(day) from {{ rollup }} where day <= {{ day_of(tomorrow) }}),
                    (
                        select {{ day_of("created_at") }} from {{ log }} where created_at <= {{ tomorrow }}
                        order by created_at desc limit 1
                    )
                ) as last
        ),

        chosen as (
            select days.day::date as day
            from span
            cross join lateral generate_series(
                case when span.first is not null then greatest(span.first, {{ horizon() }}) end,
                span.last,
                interval '1 day'
            ) as days (day)
            order by random()
            limit {{ var("reconcile_days") }}
        )

        select day from chosen
        union
        select day from {{ rollup }} where day < {{ first_day() }} or day > {{ day_of(tomorrow) }}
        union
        select {{ day_of("created_at") }} from {{ log }}
        where created_at < {{ first_day() }} or created_at > {{ tomorrow }}
    {%- endset -%}
    {{- return(run_query(days_query).columns[0].values() | join(",")) -}}
{%- endmacro %}
