set lock_timeout = '5s';

drop function if exists chat_rollups.fill(regclass, text, text[], text, text, boolean, text, boolean, boolean, text[]);
drop function if exists chat_rollups.query_md5(text);
drop function if exists chat_rollups.each_column(text[], text, text);
drop function if exists chat_rollups.drain(text[], text, date);
drop function if exists chat_rollups.forget_counted_changes();
drop function if exists chat_rollups.label_names(regclass);
drop function if exists chat_rollups.assert_tables_have_rows(text[]);
drop function if exists chat_rollups.assert_columns(regclass, text[]);
drop function if exists chat_rollups.assert_log_is_visible();
drop function if exists chat_rollups.hand_over(text);
drop function if exists chat_rollups.assert_owner(text);
