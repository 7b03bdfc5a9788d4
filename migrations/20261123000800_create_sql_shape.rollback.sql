set lock_timeout = '5s';

drop function if exists public.chat_telemetry_sql_shape(text);
