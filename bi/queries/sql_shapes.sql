-- Which SQL did the models write most often in the last 7 days, whatever its values, and which failed or was slow?
-- Counts add up. An average is weighted by the times that a text occurred. Percentiles cannot be combined.
select
    sql_shape,
    count(*) as text_count,
    sum(occurrence_count)::bigint as occurrence_count,
    sum(error_count)::bigint as error_count,
    sum(error_count)::double precision / sum(occurrence_count)::double precision as error_rate,
    sum(avg_execution_ms * occurrence_count)
    / sum(occurrence_count) filter (where avg_execution_ms is not null)::double precision as avg_execution_ms,
    sum(avg_row_count * occurrence_count)
    / sum(occurrence_count) filter (where avg_row_count is not null)::double precision as avg_row_count,
    max(max_row_count) as max_row_count,
    max(last_seen_on) as last_seen_on,
    (array_agg(example_sql order by occurrence_count desc, sql_fingerprint asc))[1] as example_sql
from chat_reports.sql_patterns
group by sql_shape
order by occurrence_count desc, sql_shape asc;
