{#-
    Row locks order the runs, so the statement has to see what was committed before it began: whatever isolation the database
    has by default, this one reads committed. Whatever search_path it has, names are PostgreSQL's. Under --empty nothing is
    called: it would publish empty reports.
-#}
{% macro run_step(function_call) -%}
    {%- if flags.EMPTY -%}
        {%- set outcome = "left alone: --empty" -%}
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
