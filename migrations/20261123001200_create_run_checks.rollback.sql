set local lock_timeout = '5s';

drop function if exists chat_rollups.assert_tables_have_rows;
drop function if exists chat_rollups.assert_columns;
drop function if exists chat_rollups.assert_log_is_visible;
drop function if exists chat_rollups.hand_over;
drop function if exists chat_rollups.assert_owner;
