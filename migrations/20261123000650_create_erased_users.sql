-- The users who were erased, and when. Records of theirs can still wait in a journal or as dead letters. The loader
-- inserts users that it does not know, but not these. To admit one of them again, delete the row.

set local lock_timeout = '5s';

create table if not exists public.chat_telemetry_erased_users (
    user_digest bytea not null,
    erased_at timestamptz not null default pg_catalog.now(),
    constraint chat_telemetry_erased_users_pkey primary key (user_digest)
);

call chat_rollups.make_private('table public.chat_telemetry_erased_users');

comment on table public.chat_telemetry_erased_users is
'Users who were erased, so that records that arrive late do not bring them back: one row per user.';
comment on column public.chat_telemetry_erased_users.user_digest is
'sha256 of the text of the id, so that no id of an erased user is left.';
comment on column public.chat_telemetry_erased_users.erased_at is
'Records of this user from before that are not kept as dead letters.';

alter table public.chat_telemetry_erased_users alter column user_digest set statistics 0;

alter table public.chat_telemetry_erased_users enable row level security;

grant select on table public.chat_telemetry_erased_users to service_role, telemetry_writer;

drop policy if exists loader_selects on public.chat_telemetry_erased_users;
create policy loader_selects on public.chat_telemetry_erased_users
for select to service_role, telemetry_writer using (true);

create or replace trigger trg_refuse_truncate
before truncate on public.chat_telemetry_erased_users
for each statement execute function public.chat_telemetry_refuse_truncate();

-- Security definer, because the roles that delete users have no privilege on the table.
create or replace function public.chat_telemetry_note_erased_users()
returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    shard text;
    shard_erased_at timestamptz;
begin
    if tg_relid <> 'auth.users'::regclass then
        -- Citus: each node has a copy of auth.users, on which the trigger fires, and one of the table.
        if pg_catalog.to_regclass('pg_catalog.pg_dist_shard') is not null then
            select pg_catalog.format('public.chat_telemetry_erased_users_%s', erased.shardid) into shard
            from pg_catalog.pg_dist_shard as users
            cross join pg_catalog.pg_dist_shard as erased
            where
                users.logicalrelid = 'auth.users'::regclass
                and pg_catalog.to_regclass(pg_catalog.format('auth.users_%s', users.shardid)) = tg_relid
                and erased.logicalrelid = 'public.chat_telemetry_erased_users'::regclass;
        end if;
        if shard is null then
            raise exception 'chat_telemetry_note_erased_users is the trigger function of auth.users only';
        end if;
        -- The begin of the transaction is not the same on each node, but this is.
        shard_erased_at := coalesce(
            (pg_catalog.get_current_transaction_id()).transaction_stamp, pg_catalog.now()
        );
        perform pg_catalog.set_config('citus.enable_manual_changes_to_shards', 'on', true);
        execute pg_catalog.format(
            'insert into %s as erased (user_digest, erased_at)
            select pg_catalog.sha256(pg_catalog.convert_to(removed.id::text, ''UTF8'')), $1 from removed
            on conflict (user_digest) do update set erased_at = excluded.erased_at', shard
        ) using shard_erased_at;
        return null;
    end if;
    insert into public.chat_telemetry_erased_users as erased (user_digest)
    select pg_catalog.sha256(pg_catalog.convert_to(removed.id::text, 'UTF8')) from removed
    on conflict (user_digest) do update set erased_at = excluded.erased_at;
    return null;
end
$$;

comment on function public.chat_telemetry_note_erased_users() is
'Trigger function: notes the users that a statement deletes from auth.users.';

call chat_rollups.make_private('function public.chat_telemetry_note_erased_users()');

-- Only on the table that the migrations made: nothing of yours or of Supabase's gets a trigger.
do $$
begin
    if pg_catalog.obj_description('auth.users'::pg_catalog.regclass, 'pg_class') like 'Made by chat-telemetry%' then
        drop trigger if exists trg_note_erased_users on auth.users;
        create trigger trg_note_erased_users
        after delete on auth.users
        referencing old table as removed
        for each statement execute function public.chat_telemetry_note_erased_users();
    end if;
end
$$;
