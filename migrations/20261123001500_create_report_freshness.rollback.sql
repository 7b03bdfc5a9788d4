set local lock_timeout = '5s';

drop view if exists chat_reports.report_freshness;
drop function if exists chat_rollups.confirm_reports;
drop function if exists chat_rollups.rollup_state;
drop function if exists chat_rollups.left_out_count;
drop function if exists chat_rollups.pending_changes;
drop table if exists chat_rollups.report_state;
