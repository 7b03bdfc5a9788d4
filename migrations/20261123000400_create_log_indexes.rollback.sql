set local lock_timeout = '5s';

drop index if exists public.idx_chat_telemetry_created_at;
drop index if exists public.idx_chat_telemetry_user_id;
drop index if exists public.idx_chat_telemetry_error;
drop index if exists public.idx_chat_telemetry_fingerprint;
