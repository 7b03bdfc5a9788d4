set local lock_timeout = '5s';

drop function if exists chat_rollups.drain;
drop function if exists chat_rollups.discard_before_horizon;
drop function if exists chat_rollups.forget_counted_changes;
drop function if exists chat_rollups.label_names;
