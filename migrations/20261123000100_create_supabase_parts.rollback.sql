-- Drops only what the migration made, told by its comment; the role stays, for other databases may use it.

set lock_timeout = '5s';

do $$
begin
    if pg_catalog.obj_description(pg_catalog.to_regclass('public.chat_conversations'), 'pg_class')
        like 'Made by chat-telemetry%' then
        drop table public.chat_conversations;
    end if;
    if pg_catalog.obj_description(pg_catalog.to_regclass('auth.users'), 'pg_class')
        like 'Made by chat-telemetry%' then
        drop table auth.users;
        revoke usage on schema auth from service_role;
    end if;
    if pg_catalog.obj_description(pg_catalog.to_regnamespace('auth'), 'pg_namespace')
        like 'Made by chat-telemetry%' then
        drop schema auth;
    end if;
end
$$;
