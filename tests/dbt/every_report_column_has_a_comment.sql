-- A reader of the database finds out what a report and each of its columns mean, and what must not be summed.
{% set reports = [
    ref('token_cost'),
    ref('latency'),
    ref('errors'),
    ref('user_usage'),
    ref('sql_patterns'),
    ref('off_topic'),
    ref('model_comparison'),
] %}

with

relations as (
    select
        unnest(array[
            {%- for report in reports %}
                '{{ report }}'{{ ',' if not loop.last }}
            {%- endfor %}
        ])::regclass as report
)

select
    relations.report,
    attributes.attname as column_name
from relations
inner join pg_attribute as attributes on relations.report = attributes.attrelid
where
    attributes.attnum > 0
    and (
        coalesce(col_description(relations.report, attributes.attnum), '') = ''
        or coalesce(obj_description(relations.report, 'pg_class'), '') = ''
    )
