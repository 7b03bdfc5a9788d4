set local lock_timeout = '5s';

drop trigger if exists trg_note_erased_users on auth.users;
drop function if exists public.chat_telemetry_note_erased_users();
drop table if exists public.chat_telemetry_erased_users;
