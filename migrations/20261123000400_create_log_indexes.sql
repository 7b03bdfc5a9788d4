-- Four indexes of the log in addition to its key: by time, by user, by error_type, by SQL pattern.

set lock_timeout = '5s';

create index if not exists idx_chat_telemetry_created_at
on public.chat_telemetry_log (created_at desc);

create index if not exists idx_chat_telemetry_user_id
on public.chat_telemetry_log (user_id, created_at desc);

create index if not exists idx_chat_telemetry_error
on public.chat_telemetry_log (error_type)
where error_type is not null;

create index if not exists idx_chat_telemetry_fingerprint
on public.chat_telemetry_log (sql_fingerprint)
where sql_fingerprint is not null;
