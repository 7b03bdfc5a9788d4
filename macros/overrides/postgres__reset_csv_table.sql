{#-
    Exchange the rows of a seed. Stock dbt truncates, and a report that is refreshed at that moment finds no prices; with
    --full-refresh it drops the table and, with cascade, every report that reads it (dbt-core #2185, closed as it is). The lock keeps two seeds at once from
    adding up.
-#}
{% macro postgres__reset_csv_table(model, full_refresh, old_relation, agate_table) -%}
    {%- set statement -%}
        lock table {{ old_relation }} in share row exclusive mode;
        delete from {{ old_relation }};
    {%- endset -%}
    {%- do run_query(statement) -%}
    {{- return(statement) -}}
{%- endmacro %}
