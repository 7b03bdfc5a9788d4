set local lock_timeout = '5s';

drop table if exists chat_rollups.alerts;
