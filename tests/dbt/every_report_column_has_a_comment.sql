-- A reader of the database finds out what a report and each of its columns mean, and what must not be summed.
-- It finds the reports by itself, so it depends on no model: in a first `dbt build` it runs before them.
select
    reports.oid::regclass as report,
    attributes.attname as column_name
from pg_class as reports
inner join pg_attribute as attributes on reports.oid = attributes.attrelid
where
    reports.relkind = 'm'
    and reports.relnamespace = 'chat_reports'::regnamespace
    and attributes.attnum > 0
    and not attributes.attisdropped
    and (
        coalesce(col_description(reports.oid, attributes.attnum), '') = ''
        or coalesce(obj_description(reports.oid, 'pg_class'), '') = ''
    )
