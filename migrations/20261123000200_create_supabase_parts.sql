-- The two tables of Supabase that a plain PostgreSQL does not have: auth.users and public.chat_conversations. If they
-- exist (on Supabase, or because your application has them), nothing in them is changed.

set local lock_timeout = '5s';

do $$
begin
    if pg_catalog.to_regnamespace('auth') is null then
        create schema auth;
        comment on schema auth is 'Made by chat-telemetry in place of Supabase''s schema.';
        call chat_rollups.make_private('schema auth');
    end if;
end
$$;

do $$
begin
    if pg_catalog.to_regclass('auth.users') is null then
        create table auth.users (
            id uuid not null default pg_catalog.gen_random_uuid(),
            constraint users_pkey primary key (id)
        );
        comment on table auth.users is 'Made by chat-telemetry in place of Supabase''s table: one row per user.';
        -- Statistics would keep the ids of erased users.
        alter table auth.users alter column id set statistics 0;
        call chat_rollups.make_private('table auth.users');
        grant usage on schema auth to service_role, telemetry_writer;
        grant select, insert, delete on table auth.users to service_role;
        grant insert on table auth.users to telemetry_writer;
    end if;
end
$$;

do $$
begin
    if pg_catalog.to_regclass('public.chat_conversations') is null then
        create table public.chat_conversations (
            conversation_id uuid not null default pg_catalog.gen_random_uuid(),
            user_id uuid not null,
            constraint chat_conversations_pkey primary key (conversation_id),
            constraint chat_conversations_user_id_fkey
            foreign key (user_id) references auth.users (id) on delete cascade
        );
        create index idx_chat_conversations_user_id on public.chat_conversations (user_id);
        comment on table public.chat_conversations is
        'Made by chat-telemetry, whose log refers to it: one row per conversation.';
        alter table public.chat_conversations
        alter column conversation_id set statistics 0, alter column user_id set statistics 0;
        -- If default privileges grant new tables to others, as on Supabase, which serves every table of public to API
        -- clients, only row level security keeps the table closed after the next grant.
        if exists (
            select from pg_catalog.pg_class as c
            cross join pg_catalog.aclexplode(c.relacl) as r
            where c.oid = 'public.chat_conversations'::regclass and r.grantee <> c.relowner
        ) then
            alter table public.chat_conversations enable row level security;
            create policy service_role_does_all on public.chat_conversations
            to service_role using (true) with check (true);
            create policy telemetry_writer_selects on public.chat_conversations
            for select to telemetry_writer using (true);
        end if;
        call chat_rollups.make_private('table public.chat_conversations');
        grant select, insert, delete on table public.chat_conversations to service_role;
    end if;
end
$$;

-- If a conversation no longer exists, the loader writes null in its place.
grant select (conversation_id) on table public.chat_conversations to telemetry_writer;
