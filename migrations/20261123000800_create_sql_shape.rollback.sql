drop function if exists public.chat_telemetry_sql_shape(text);
