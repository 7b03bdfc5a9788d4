-- How fresh is each report?
select
    report,
    refreshed_at,
    as_of,
    report_timezone,
    newest_request_at,
    pending_changes
from chat_reports.report_freshness
order by report;
