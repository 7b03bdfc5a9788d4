set local lock_timeout = '5s';

drop function if exists chat_rollups.set_horizon;
