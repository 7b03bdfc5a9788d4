set lock_timeout = '5s';

drop view if exists chat_reports.report_freshness;
drop table if exists chat_tallies.report_refreshes;
