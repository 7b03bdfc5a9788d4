{#-
    Returns each key whose counts in the rollup differ from those of the log, on a few random days (`reconcile_days`) or on all
    days (`reconcile_all`). Changes that the rollup has not counted yet are left out: those in the feed and those of later
    drains. One statement reads everything, so the test is also right while rows arrive and dbt runs.
-#}
{% test equals_the_log(model) %}
    {%- set rollup = model.identifier -%}
    {%- set days = days_to_reconcile(model) -%}
    {%- set changes = changes_counted(rollup) -%}
    {#- Each by its name: dbt only knows the macros that it sees called. -#}
    {%- set counted -%}
        {%- if rollup == "daily_requests" -%} {{ count_requests(changes) }}
        {%- elif rollup == "daily_users" -%} {{ count_by_user(changes) }}
        {%- else -%} {{ count_durations(changes) }}
        {%- endif -%}
    {%- endset -%}
    {%- set columns = adapter.get_columns_in_relation(model) | map(attribute="name") | list if execute else ["*"] -%}
    {%- set columns = columns | join(", ") -%}

    with

    counted as (
        select {{ columns }} from ({{ counted }}) as counted
        where request_count != 0 and day >= {{ horizon() }} {% if days is not none %}and day = any('{ {{- days -}} }'::date[]){% endif %}
    ),

    rolled_up as (
        select {{ columns }} from {{ model }}
        where day >= {{ horizon() }} {% if days is not none %}and day = any('{ {{- days -}} }'::date[]){% endif %}
    )

    {{ differences("rolled_up", "counted") }}
{% endtest %}
