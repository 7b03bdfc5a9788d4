set local lock_timeout = '5s';

drop function if exists chat_rollups.split_tokens(text);
drop function if exists chat_rollups.hide_literals(text);
