set local lock_timeout = '5s';

drop function if exists public.chat_telemetry_sql_shape(text);
drop function if exists chat_rollups.fold_literals(text);
drop function if exists chat_rollups.fold_lists(text, text, text, text);
