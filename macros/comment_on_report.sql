{#- The descriptions as database comments: dbt itself fails on a materialized view (dbt-adapters #1716). -#}
{% macro comment_on_report() -%}
    comment on materialized view {{ this }} is {{ postgres_escape_comment(model.description | trim) }};
    {% for column in model.columns.values() -%}
        comment on column {{ this }}.{{ column.name }} is {{ postgres_escape_comment(column.description | trim) }};
    {% endfor %}
{%- endmacro %}
