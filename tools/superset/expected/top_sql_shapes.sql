-- Which SQL did the models keep writing in the last 7 days? The query of docs/reports.md.
select
    sql_shape,
    sum(occurrence_count)::bigint as total_occurrence_count,
    sum(error_count)::bigint as total_error_count,
    count(*) as pattern_count,
    sum(avg_execution_ms * occurrence_count)
    / sum(occurrence_count) filter (where avg_execution_ms is not null) as overall_avg_execution_ms,
    max(max_row_count) as largest_row_count
from chat_reports.sql_patterns
group by sql_shape
order by total_occurrence_count desc;
