-- Drops only what the migration created. The comments tell what that is.

set local lock_timeout = '5s';

do $$
begin
    revoke select (conversation_id) on table public.chat_conversations from telemetry_writer;
    if pg_catalog.obj_description(pg_catalog.to_regclass('public.chat_conversations'), 'pg_class')
        like 'Made by chat-telemetry%' then
        drop table public.chat_conversations;
    end if;
    if pg_catalog.obj_description(pg_catalog.to_regclass('auth.users'), 'pg_class')
        like 'Made by chat-telemetry%' then
        drop table auth.users;
        revoke usage on schema auth from service_role, telemetry_writer;
    end if;
    if pg_catalog.obj_description(pg_catalog.to_regnamespace('auth'), 'pg_namespace')
        like 'Made by chat-telemetry%' then
        drop schema auth;
    end if;
end
$$;
