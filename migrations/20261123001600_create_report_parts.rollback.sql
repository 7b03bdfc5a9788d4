set local lock_timeout = '5s';

drop function if exists chat_rollups.grant_report;
drop function if exists chat_rollups.exchange_report;
drop function if exists chat_rollups.apply_settings;
drop function if exists chat_rollups.refresh_report;
drop function if exists chat_rollups.unique_index_of;
