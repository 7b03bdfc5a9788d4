"""Checks of the log and its change feed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import LiteralString

import psycopg
from psycopg import errors as sqlstate

from chat_telemetry._cli.doctor.finding import Found, Level, SqlCheck
from chat_telemetry._cli.errors import server_message
from chat_telemetry._cli.migrations import pending_migrations
from chat_telemetry._cli.migrations.rights import foreign_objects
from chat_telemetry._cli.options import transaction
from chat_telemetry._cli.sql_project import project_directory
from chat_telemetry._cli.tables import number

SHAPE_FILE = "*_create_chat_telemetry_log.sql"
IS_OWNER: LiteralString = """
    select pg_has_role(relowner, 'usage') from pg_class where oid = to_regclass('public.chat_telemetry_log')
"""

INDEXES = SqlCheck(
    "the four indexes of the log are there",
    """
    select
        'fault',
        format(
            'the index %s of the log is %s', e.name, case when i.indexrelid is null then 'missing' else 'invalid' end
        ),
        case when i.indexrelid is null then '' else format('drop index public.%I; then ', e.name) end
        || 'apply the file *_create_log_indexes.sql of the migrations again'
    from unnest(array[
        'idx_chat_telemetry_created_at', 'idx_chat_telemetry_user_id', 'idx_chat_telemetry_error',
        'idx_chat_telemetry_fingerprint'
    ]) as e (name)
    left join pg_index as i on i.indexrelid = to_regclass('public.' || e.name)
    where i.indexrelid is null or not i.indisvalid
    """,
)

TRIGGERS = SqlCheck(
    "every trigger is enabled",
    """
    select
        'fault',
        format(
            'the trigger %s of %s %s', e.name, e.relation,
            case
                when t.oid is null then 'is missing'
                when t.tgenabled not in ('O', 'A') then 'is disabled'
                else 'runs another function'
            end
        ),
        case
            when t.oid is not null and t.tgfoid = to_regproc(e.function)
                then format('alter table %s enable trigger %I; then ', e.relation, e.name)
            else format('apply the file *_%s.sql of the migrations again; then ', e.file)
        end
        || case
            when e.name = 'trg_compute_sql_fingerprint' then 'apply the file *_correct_fingerprints.sql'
            when e.name like 'trg_feed%' then 'chat-telemetry dbt run --full-refresh'
            else 'nothing'
        end
    from (
        values
        ('public.chat_telemetry_log', 'trg_compute_sql_fingerprint', 'public.compute_sql_fingerprint',
            'create_sql_fingerprint_trigger'),
        ('public.chat_telemetry_log', 'trg_feed_inserts', 'public.chat_telemetry_feed_changes', 'create_change_feed'),
        ('public.chat_telemetry_log', 'trg_feed_updates_old', 'public.chat_telemetry_feed_changes',
            'create_change_feed'),
        ('public.chat_telemetry_log', 'trg_feed_updates_new', 'public.chat_telemetry_feed_changes',
            'create_change_feed'),
        ('public.chat_telemetry_log', 'trg_feed_deletes', 'public.chat_telemetry_feed_changes', 'create_change_feed'),
        ('public.chat_telemetry_log', 'trg_refuse_truncate', 'public.chat_telemetry_refuse_truncate',
            'refuse_truncate'),
        ('public.chat_telemetry_changes', 'trg_refuse_truncate', 'public.chat_telemetry_refuse_truncate',
            'create_change_feed'),
        ('auth.users', 'trg_note_erased_users', 'public.chat_telemetry_note_erased_users', 'create_erased_users')
    ) as e (relation, name, function, file)
    left join pg_trigger as t on t.tgrelid = to_regclass(e.relation) and t.tgname = e.name
    where
        (t.oid is null or t.tgenabled not in ('O', 'A') or t.tgfoid <> to_regproc(e.function))
        -- Supabase's table, or that of an application, has no trigger of ours.
        and (
            e.relation <> 'auth.users'
            or coalesce(obj_description(to_regclass(e.relation), 'pg_class'), '') like 'Made by chat-telemetry%'
        )
    """,
)

PUBLICATIONS = SqlCheck(
    "no publication sends the log elsewhere",
    """
    select
        'note',
        format('the publication %s sends %s to its subscribers', p.pubname, string_agg(p.tablename, ', ' order by 1)),
        case
            when bool_or(a.puballtables) or exists (select from pg_publication_namespace where pnpubid = a.oid)
                then 'if nobody needs it there, publish single tables instead of all'
            else format(
                'if nobody needs it there: alter publication %I drop table %s', p.pubname,
                string_agg(format('%I.%I', p.schemaname, p.tablename), ', ' order by p.tablename)
            )
        end
    from pg_publication_tables as p
    inner join pg_publication as a on p.pubname = a.pubname
    where
        p.schemaname in ('chat_rollups', 'chat_prices')
        or (
            p.schemaname = 'public'
            and p.tablename in ('chat_telemetry_log', 'chat_telemetry_changes', 'chat_telemetry_erased_users')
        )
    group by p.pubname, a.oid
    """,
)


def migrations(connection: psycopg.Connection) -> Iterator[Found]:
    """Whether every migration of this version is applied."""
    pending = pending_migrations(connection)
    if pending is None:
        yield Level.NOTE, "another tool applied the migrations, so what is pending is not known", ""
    elif pending:
        yield Level.FAULT, f"{number(pending, 'migration')} pending: {', '.join(pending)}", "chat-telemetry migrate"
    else:
        yield Level.OK, "every migration is applied", ""


def shape(connection: psycopg.Connection) -> Iterator[Found]:
    """Whether the log has the columns and keys of a record: by the check with which a migration adopts a log."""
    (path,) = (project_directory() / "migrations").glob(SHAPE_FILE)
    check = path.read_text(encoding="utf-8").split("\ndo $$\n")[2].split("\n$$;\n")[0]
    try:
        with transaction(connection, rolls_back=True):
            connection.execute(f"do $$\n{check}\n$$")
    except sqlstate.RaiseException as error:
        yield Level.FAULT, server_message(error), "change the table with alter table as the text says"
    else:
        yield Level.OK, "the log has the columns and keys of a record", ""


def trust(connection: psycopg.Connection) -> Iterator[Found]:
    """Whether roles that are not trusted own something that runs with the rights of the owner."""
    with transaction(connection, rolls_back=True):
        is_owner = connection.execute(IS_OWNER).fetchone() == (True,)
    if not is_owner:
        yield (
            Level.UNKNOWN,
            "only the owner of the log can see whom it has to trust",
            "connect as the role that migrates",
        )
        return
    problems = foreign_objects(connection)
    for problem in problems:
        yield Level.FAULT, problem, ""
    if not problems:
        yield Level.OK, "nothing of other roles runs with the rights of the owner", ""
