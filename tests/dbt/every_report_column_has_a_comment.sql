-- A reader of the database finds out what a report and each of its columns mean, and what must not be summed.
{% set reports = ['token_cost', 'latency', 'errors', 'user_usage', 'sql_patterns', 'off_topic', 'model_comparison'] %}
with

report_columns as (
    {% for report in reports -%}
    select
        '{{ report }}' as report,
        attname as column_name,
        col_description(attrelid, attnum) as comment
    from pg_attribute
    where attrelid = '{{ ref(report) }}'::regclass and attnum > 0
    union all
    select
        '{{ report }}' as report,
        null as column_name,
        obj_description('{{ ref(report) }}'::regclass, 'pg_class') as comment
    {%- if not loop.last %}
    union all
    {% endif -%}
    {% endfor %}
)

select * from report_columns
where coalesce(comment, '') = ''
