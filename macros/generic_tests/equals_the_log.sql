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
