"""After a user is erased, one whole run removes everything of them from tables, reports and statistics.

`chat-telemetry erase` does that, and removes it from files, too.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import psycopg

from chat_telemetry import TelemetryRecord
from chat_telemetry._delivery.dead_letters import DeadLetters
from chat_telemetry._delivery.segment import Segment
from chat_telemetry._delivery.store import Rejection, Store
from chat_telemetry._encoding import encode
from tests.cli.conftest import Outcome, process
from tests.dbt_project import DbtProject
from tests.reports.random_log import fill

AS_OF = dt.date(2026, 11, 22)
TEXT = "the secret of one person"
# Enough rows to be among the most common values of each column that has statistics.
ASK = f"""
    insert into public.chat_telemetry_log (
        user_id, conversation_id, response_id, created_at, user_question, ai_response, generated_sql, error_message,
        follow_up_suggestions, ttfb_ms, sql_model
    )
    select
        %(user)s, %(conversation)s, '{TEXT}', timestamptz '2026-11-20 12:00:00+00' - number * interval '1 minute',
        '{TEXT}', '{TEXT}', 'select ''{TEXT}''', '{TEXT}', '["{TEXT}"]', number, 'gpt-4o-mini'
    from generate_series(1, 200) as number
"""
TABLES = """
    select c.oid::regclass::text from pg_class as c inner join pg_namespace as n on c.relnamespace = n.oid
    where c.relkind in ('r', 'm') and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
    union all
    select 'pg_catalog.pg_stats'
"""
# Texts that files and tables write in several ways.
TEXTS = {
    "user_question": 'Wie viele "Größen" \\ hat\tAnna O\'Neill?\u2028',
    "ai_response": "Anna O'Neill hat 3 … naïve Größen \U0001f512",
    "generated_sql": "select 'Anna O''Neill' as \"größe\" -- \\u00e9",
    "error_message": 'could not find "Anna O\'Neill" in {anna@example.com,…}',
    "response_id": "resp-of-Anna-O'Neill-é",
}
SUGGESTIONS = ['Und Anna\'s "é"?', "日本語 of Anna O'Neill"]
EVERY_STATISTIC = """
select s::text from pg_catalog.pg_statistic as s
union all select s::text from pg_catalog.pg_statistic_ext_data as s
union all select s::text from pg_catalog.pg_stats_ext as s
union all select s::text from pg_catalog.pg_stats_ext_exprs as s
"""
# Columns that hold ids or texts of users: they have no statistics in any table or report.
PERSONAL = {
    ("auth", "users"): {"id"},
    ("public", "chat_conversations"): {"conversation_id", "user_id"},
    ("public", "chat_telemetry_log"): {
        *["log_id", "user_id", "conversation_id", "response_id", "user_question", "ai_response", "generated_sql"],
        *["sql_fingerprint", "follow_up_suggestions", "error_message"],
    },
    ("public", "chat_telemetry_changes"): {"log_id", "user_id"},
    ("chat_rollups", "drained_changes"): {"user_id"},
    ("chat_rollups", "daily_users"): {"user_id"},
    ("chat_reports", "user_usage"): {"user_id"},
    ("chat_reports", "sql_patterns"): {"sql_fingerprint", "example_sql", "sql_shape"},
}


def places_of(connection: psycopg.Connection, text: str) -> list[str]:
    """The tables, reports and statistics that hold the text."""
    tables = [name for (name,) in connection.execute(TABLES)]
    return [
        name
        for name in tables
        if connection.execute(f"select from {name} as row where strpos(row::text, %s) > 0 limit 1", [text]).rowcount
    ]


def test_one_run_after_a_user_is_erased_nothing_of_them_is_left(project: DbtProject) -> None:
    (user,) = project.database.add_users()
    (conversation,) = project.database.add_conversations([user])
    fill(project.database, 1, 300, AS_OF, "UTC")
    with project.database.connect() as connection:
        connection.execute(ASK, {"user": user, "conversation": conversation})
        project.run("run", report_as_of=AS_OF.isoformat())
        connection.execute("analyze")
        assert {"chat_rollups.daily_users", "chat_reports.user_usage"} < set(places_of(connection, str(user)))
        assert "chat_reports.sql_patterns" in places_of(connection, TEXT)
        assert "pg_catalog.pg_stats" not in places_of(connection, str(user)) + places_of(connection, TEXT)

        connection.execute("delete from auth.users where id = %s", [user])
        project.run("run", report_as_of=AS_OF.isoformat())
        for trace in (str(user), str(conversation), TEXT):
            assert places_of(connection, trace) == []


def test_columns_that_hold_ids_or_texts_of_users_have_no_statistics(project: DbtProject) -> None:
    fill(project.database, 1, 2_000, AS_OF, "UTC")
    (user,) = project.database.add_users()
    with project.database.connect() as connection:
        project.run("run", report_as_of=AS_OF.isoformat())
        connection.execute(ASK, {"user": user, "conversation": None})
        connection.execute(
            "insert into chat_rollups.drained_changes (drain_number, sign, is_off_topic, error_type, failed_step,"
            " sql_model, response_model, created_at, user_id) values (0, 1, false, 0, 0, 0, 0, now(), %s)",
            [uuid.uuid4()],
        )
        connection.execute("analyze")
        for (schema, table), columns in PERSONAL.items():
            known = connection.execute(
                "select attname from pg_stats where schemaname = %s and tablename = %s", [schema, table]
            ).fetchall()
            assert {name for (name,) in known} & columns == set(), table
            typed = connection.execute(
                "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped"
                " and (atttypid = 'uuid'::regtype or attname = any(%s))",
                [f"{schema}.{table}", list(columns)],
            ).fetchall()
            assert {name for (name,) in typed} == columns, table
        others = connection.execute(
            "select c.relname, a.attname from pg_attribute as a inner join pg_class as c on a.attrelid = c.oid"
            " inner join pg_namespace as n on c.relnamespace = n.oid"
            " where a.atttypid = 'uuid'::regtype and c.relkind in ('r', 'm') and a.attnum > 0"
            " and n.nspname in ('auth', 'public', 'chat_reports', 'chat_rollups', 'chat_prices')"
        ).fetchall()
        assert set(others) <= {(table, column) for (_, table), columns in PERSONAL.items() for column in columns}


class Person:
    """A user with records in each place. All persons have the same texts."""

    def __init__(self, project: DbtProject) -> None:
        self._project = project
        (self.user_id,) = project.database.add_users()
        (self.conversation_id,) = project.database.add_conversations([self.user_id])
        self._log_ids: list[uuid.UUID] = []

    def record(self, minute: int = 0) -> TelemetryRecord:
        record = TelemetryRecord(
            user_id=self.user_id,
            conversation_id=self.conversation_id,
            created_at=dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC) - dt.timedelta(minutes=minute),
            follow_up_suggestions=SUGGESTIONS,
            sql_model="gpt-4o",
            **TEXTS,  # type: ignore[arg-type]
        )
        self._log_ids.append(record.log_id)
        return record

    def ask(self, times: int) -> None:
        lines = [encode(self.record(minute)) for minute in range(times)]
        store = Store(self._project.database.conninfo)
        assert store.insert(lines).stored == times
        store.close()

    def ids(self) -> list[str]:
        return [str(each) for each in (self.user_id, self.conversation_id, *self._log_ids)]


def as_written(text: str) -> set[bytes]:
    """How a text stands in a file or in a row: as it is, in JSON, in JSON within JSON, and in the quotes of a row."""
    forms = {text, text.replace("'", "''"), text.replace("\\", "\\\\").replace('"', '\\"')}
    forms |= {form.replace('"', '""').replace("\\", "\\\\") for form in forms}
    for _ in range(2):
        forms |= {json.dumps(form, ensure_ascii=is_ascii)[1:-1] for form in forms for is_ascii in (True, False)}
    return {form.encode() for form in forms}


def holding(traces: Iterable[str], texts: Iterable[tuple[str, bytes]]) -> set[str]:
    """The names of the texts that have one of the traces."""
    forms = {form for trace in traces for form in as_written(trace)}
    return {name for name, content in texts if any(form in content for form in forms)}


def database_texts(connection: psycopg.Connection) -> Iterator[tuple[str, bytes]]:
    """Every row of every table and report, and all statistics as the server stores them."""
    for (name,) in connection.execute(TABLES).fetchall():
        for (row,) in connection.execute(f"select t::text from {name} as t").fetchall():
            yield name, row.encode()
    for (row,) in connection.execute(EVERY_STATISTIC).fetchall():
        yield "statistics", row.encode()


def file_texts(directory: Path) -> Iterator[tuple[str, bytes]]:
    for path in directory.rglob("*"):
        if path.is_file():
            yield path.name, path.read_bytes()


def write_files(person: Person, letters: DeadLetters, *segments: Segment) -> None:
    """Dead letters of a record and of a cut line, and a line in each journal."""
    detail = f"Failing row contains ({TEXTS['ai_response']})"
    letters.add(encode(person.record()), Rejection(0, "CheckViolation (23514)", detail))
    letters.add(encode(person.record())[:-1], Rejection(0, "InvalidTextRepresentation (22P02)", "not JSON"))
    for segment in segments:
        segment.append(encode(person.record()))


def rows_of_others(connection: psycopg.Connection, user_id: uuid.UUID) -> list[Any]:
    return [
        connection.execute(f"select t::text from {table} as t where {column} <> %s order by 1", [user_id]).fetchall()
        for table, column in (
            *[("public.chat_telemetry_log", "user_id"), ("public.chat_conversations", "user_id"), ("auth.users", "id")],
            *[("chat_rollups.daily_users", "user_id"), ("chat_reports.user_usage", "user_id")],
        )
    ]


def test_nothing_of_an_erased_user_is_left_in_any_table_statistic_or_file(project: DbtProject, tmp_path: Path) -> None:
    fill(project.database, 1, 300, AS_OF, "UTC")
    victim, other = Person(project), Person(project)
    for person in (victim, other):
        person.ask(100)
    project.run("run", report_as_of=AS_OF.isoformat())
    journal_dir, scratch = tmp_path / "journal", tmp_path / "scratch"
    scratch.mkdir()
    running, dead = Segment.create(journal_dir), Segment.create(journal_dir)
    victim.ask(20)  # changes that dbt has not counted
    for person in (victim, other):
        write_files(person, DeadLetters(journal_dir), running, dead)
    dead.release()
    environment = {
        **project.environment(),
        "TMPDIR": str(scratch),
        "CHAT_TELEMETRY_DATABASE_URL": project.database.conninfo,
        "CHAT_TELEMETRY_JOURNAL_DIR": str(journal_dir),
    }

    def erase(person: Person, *options: str) -> Outcome:
        return process("erase", str(person.user_id), "--yes", *options, cwd=scratch, environment=environment)

    with project.database.connect() as connection:
        connection.execute("analyze")
        kept = rows_of_others(connection, victim.user_id)
        lines = {name: text.splitlines()[-text.count(b"\n") // 2 :] for name, text in file_texts(journal_dir)}
        assert holding(victim.ids(), database_texts(connection)) == {
            *("chat_telemetry_log", "chat_telemetry_changes", "chat_conversations", "auth.users"),
            *("chat_rollups.daily_users", "chat_reports.user_usage"),
        }
        assert holding(TEXTS.values(), database_texts(connection)) == {
            "chat_telemetry_log",
            "chat_reports.sql_patterns",
        }
        assert len(holding(victim.ids(), file_texts(journal_dir))) == 3

        first = erase(victim)
        assert first.code == 1, first.err
        assert f"left: {running.path}: a running process sends these records" in first.out
        assert holding(victim.ids(), file_texts(tmp_path)) == {running.path.name}
        running.release()
        second = erase(victim, "--no-dbt")
        assert (second.code, second.err.count("error")) == (0, 0), second.out

        assert holding(victim.ids(), database_texts(connection)) == set()
        assert holding(victim.ids(), file_texts(tmp_path)) == set()
        assert rows_of_others(connection, victim.user_id) == kept
        assert {name: text.splitlines() for name, text in file_texts(journal_dir)} == lines
        assert list(scratch.iterdir()) == []

        # Without the other person, who has the same texts, no text is left.
        assert erase(other).code == 0
        traces = [*other.ids(), *victim.ids(), *TEXTS.values(), *SUGGESTIONS]
        assert holding(traces, database_texts(connection)) == set()
        assert holding(traces, file_texts(tmp_path)) == set()
