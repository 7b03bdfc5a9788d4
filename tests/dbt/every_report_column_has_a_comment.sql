-- Each report and each of its columns has a comment. The test reads the reports from the catalog and depends on no
-- model, so in a first `dbt build` it runs before the reports exist.
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
