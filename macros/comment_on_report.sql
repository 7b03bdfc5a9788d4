{#- The descriptions as database comments: dbt itself fails on a materialized view (dbt-adapters #1716). -#}
{% macro comment_on_report(report=this) -%}
    comment on materialized view {{ report }} is {{ postgres_escape_comment(model.description | trim) }};
    {% for column in model.columns.values() -%}
        comment on column {{ report }}.{{ column.name }} is {{ postgres_escape_comment(column.description | trim) }};
    {% endfor %}
{%- endmacro %}
