set local lock_timeout = '5s';

drop trigger if exists trg_compute_sql_fingerprint on public.chat_telemetry_log;
drop function if exists public.compute_sql_fingerprint();
drop function if exists chat_rollups.correct_fingerprints(uuid, integer);
