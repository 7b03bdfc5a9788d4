set local lock_timeout = '5s';

drop function if exists chat_rollups.fill;
drop function if exists chat_rollups.query_md5;
drop function if exists chat_rollups.each_column;
