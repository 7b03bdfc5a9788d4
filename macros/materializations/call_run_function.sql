{#-
    Row locks order the runs, so a statement has to see everything that was committed before it began: it sets read committed,
    because the database may have another default. For the same reason it sets the search_path, so that names are those of
    PostgreSQL. Under --empty nothing is called, because empty reports would be published.
-#}
{% macro call_run_function(function_call) -%}
    {%- if flags.EMPTY -%}
        {%- set outcome = "nothing done: --empty" -%}
    {%- else -%}
        {%- call statement("main", fetch_result=true) -%}
            set transaction isolation level read committed;
            set local search_path = pg_catalog;
            select {{ function_call }} as outcome
        {%- endcall -%}
        {%- set outcome = load_result("main")["table"].columns[0].values()[0] -%}
        {%- do adapter.commit() -%}
    {%- endif -%}
    {%- do store_raw_result("main", message=outcome, code=outcome, rows_affected="-1") -%}
    {{- return({"relations": [this]}) -}}
{%- endmacro %}
