set local lock_timeout = '5s';

drop view if exists chat_reports.open_alerts;
drop table if exists chat_rollups.alerts;
