-- For distribute.sql and distribute.rollback.sql: locks the tables, in the order in which an insert of a chat request
-- does, and lists the foreign keys and triggers that are dropped while rows move.
lock table
public.chat_telemetry_log,
public.chat_telemetry_changes,
auth.users,
public.chat_conversations,
public.chat_telemetry_erased_users
in access exclusive mode;

-- The rows move by COPY, which fires triggers: those of the feed would count each row again. And if foreign keys
-- connect two tables, Citus makes the second one again, without its comments. So both are dropped and made again.
create temporary table made_again on commit drop as
select
    1 as place,
    format('alter table %s drop constraint %I', conrelid::regclass, conname) as drop_it,
    format('alter table %s add constraint %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) as make_it
from pg_constraint
where contype = 'f' and conrelid in ('public.chat_conversations'::regclass, 'public.chat_telemetry_log'::regclass)
union all
select
    2 as place,
    format('drop trigger %I on %s', tgname, tgrelid::regclass) as drop_it,
    pg_get_triggerdef(oid) as make_it
from pg_trigger
where
    not tgisinternal
    and tgrelid in (
        'auth.users'::regclass, 'public.chat_conversations'::regclass, 'public.chat_telemetry_erased_users'::regclass,
        'public.chat_telemetry_log'::regclass, 'public.chat_telemetry_changes'::regclass
    );
