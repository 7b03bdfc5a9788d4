"""A rollup counts the changes of the drains after its drain number or, in a rebuild, the log as of the last drain."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import psycopg
import pytest

from tests.dbt_project import DbtProject

NAMES = {
    "gpt-4o": "gpt-4o",
    "gpt-4o-2024-08-06": "gpt-4o",
    "gpt-4o-20240806": "gpt-4o",
    "claude-sonnet-4-20250514": "claude-sonnet-4",
    "claude-sonnet-4@20250514": "claude-sonnet-4",
    "claude-sonnet-4@2025-05-14": "claude-sonnet-4",
    # No date, or a date that is not at the end.
    "gpt-4o-0806": "gpt-4o-0806",
    "gpt-4-1106-preview": "gpt-4-1106-preview",
    "gpt-4o-2024-08-06-mini": "gpt-4o-2024-08-06-mini",
    "gpt-4o-2024-08-06-tuned": "gpt-4o-2024-08-06-tuned",
    "gpt-4o-19990806": "gpt-4o-19990806",
    "gpt-4o-2024-13-06": "gpt-4o-2024-13-06",
    "gpt-4o-2024-08-32": "gpt-4o-2024-08-32",
    "gpt-4o-20240800": "gpt-4o-20240800",
    "gpt-4o-2024-0806": "gpt-4o-2024-0806",
    "gpt-4o-202408-06": "gpt-4o-202408-06",
    "gpt-4o20240806": "gpt-4o20240806",
    "2024-08-06": "2024-08-06",
    "-2024-08-06": "",
    "": "",
}


def noon(day: int) -> dt.datetime:
    return dt.datetime(2026, 11, day, 12, tzinfo=dt.UTC)


def insert(connection: psycopg.Connection, table: str, *rows: dict[str, Any]) -> None:
    for row in rows:
        connection.execute(
            f"insert into {table} ({', '.join(row)}) values ({', '.join(['%s'] * len(row))})", list(row.values())
        )


def change(drain_number: int, sign: int, day: int, sql_model: int) -> dict[str, Any]:
    """A row of drained_changes."""
    names = {"error_type": 0, "failed_step": 0, "sql_model": sql_model, "response_model": 0}
    return {
        "drain_number": drain_number,
        "sign": sign,
        "created_at": noon(day),
        "user_id": uuid.UUID(int=1),
        "is_off_topic": False,
        **names,
    }


@pytest.fixture
def log(project: DbtProject) -> DbtProject:
    """A log of three requests, and a feed with a new request, a corrected one and an erased one."""
    (ann, ben) = project.database.add_users(2)
    failed = {"user_id": ann, "created_at": noon(21), "is_off_topic": False, "error_type": "sql_generation"}
    corrected = {"user_id": ann, "created_at": noon(22), "is_off_topic": True, "error_type": "", "sql_model": "m"}
    new = {"user_id": ben, "created_at": noon(22), "is_off_topic": False, "sql_model": "new", "sql_input_tokens": 5}
    erased = {"user_id": uuid.UUID(int=3), "created_at": noon(20), "is_off_topic": False, "sql_model": "erased since"}
    with project.database.connect() as connection:
        insert(
            connection,
            "public.chat_telemetry_log",
            *({"user_question": "", **row} for row in (failed, {**corrected, "sql_input_tokens": 60}, new)),
        )
        connection.execute("delete from public.chat_telemetry_changes")
        insert(
            connection,
            "public.chat_telemetry_changes",
            *(
                {"log_id": uuid.uuid4(), **row}
                for row in (
                    {"sign": 1, **new},
                    {"sign": -1, **corrected, "sql_input_tokens": 100},
                    {"sign": 1, **corrected, "sql_input_tokens": 60},
                    {"sign": -1, **erased},
                )
            ),
        )
    return project


def test_a_rollup_counts_the_drains_after_its_drain_number(project: DbtProject) -> None:
    with project.database.connect() as connection:
        connection.execute("insert into chat_rollups.labels (id, label) values (101, 'a'), (102, 'b'), (103, 'c')")
        connection.execute("update chat_rollups.progress set drain_number = 3 where name = 'drained_changes'")
        connection.execute(
            "update chat_rollups.progress set drain_number = 1, report_timezone = 'UTC' where name = 'daily_requests'"
        )
        for day, count in [("2026-11-22", 5), ("2025-11-22", 1)]:
            zeros = ", 0" * 9
            connection.execute(
                "insert into chat_rollups.daily_requests"
                f" values ('{day}', 102, 0, 0, 0, false, {count}, {count}{zeros})"
            )
        insert(
            connection,
            "chat_rollups.drained_changes",
            change(1, 1, 22, 101),  # counted before
            change(2, 1, 22, 102),
            change(2, 1, 22, 102),
            change(3, 1, 22, 102),
            change(3, -1, 22, 102),
            {**change(3, -1, 22, 102), "created_at": noon(22).replace(year=2025)},
            change(4, 1, 22, 103),  # for the next run
        )
        project.run("run", "--select", "daily_requests")
        assert connection.execute(
            "select day, sql_model, request_count, sql_call_count from chat_rollups.daily_requests"
        ).fetchall() == [(dt.date(2026, 11, 22), 102, 7, 7)]
        assert connection.execute(
            "select drain_number from chat_rollups.progress where name = 'daily_requests'"
        ).fetchone() == (3,)


def test_a_rebuild_counts_the_log_less_the_feed(log: DbtProject) -> None:
    counted = """
    select day::text, sql_model.label, error_type.label, is_off_topic, request_count, sql_call_count, sql_input_tokens
    from chat_rollups.daily_requests
    inner join chat_rollups.labels as sql_model on daily_requests.sql_model = sql_model.id
    inner join chat_rollups.labels as error_type on daily_requests.error_type = error_type.id
    order by day
    """
    log.run("run", "--full-refresh", "--select", "daily_requests")
    with log.database.connect() as connection:
        assert connection.execute(counted).fetchall() == [
            ("2026-11-20", "erased since", "", False, 1, 1, 0),
            ("2026-11-21", "", "sql_generation", False, 1, 0, 0),
            ("2026-11-22", "m", "", True, 1, 1, 100),
        ]
        # After a drain the rollup equals the log.
        log.run("run", "--select", "drained_changes", "daily_requests")
        assert connection.execute(counted + ", sql_input_tokens").fetchall() == [
            ("2026-11-21", "", "sql_generation", False, 1, 0, 0),
            ("2026-11-22", "new", "", False, 1, 1, 5),
            ("2026-11-22", "m", "", True, 1, 1, 60),
        ]


def test_a_rebuild_has_no_row_for_a_user_who_is_only_in_the_feed(log: DbtProject) -> None:
    counted = """
    select request_count, error_count, off_topic_count, sql_input_tokens from chat_rollups.daily_users
    order by day, user_id
    """
    log.run("run", "--full-refresh", "--select", "daily_users")
    with log.database.connect() as connection:
        assert connection.execute(counted).fetchall() == [(1, 0, 0, 0), (1, 1, 0, 0), (1, 0, 1, 100)]
        users = connection.execute("select distinct user_id from chat_rollups.daily_users").fetchall()
        ann = connection.execute("select user_id from public.chat_telemetry_log where error_type = 'sql_generation'")
        assert set(users) == {(uuid.UUID(int=3),), ann.fetchone()}


def test_a_label_has_its_name_without_the_date_at_the_end(project: DbtProject) -> None:
    with project.database.connect() as connection:
        connection.cursor().executemany(
            "insert into chat_rollups.labels (label) values (%s) on conflict do nothing", [[name] for name in NAMES]
        )
        undated = connection.execute(
            "select label, undated from chat_rollups.labels where label = any(%s)", [list(NAMES)]
        )
        assert dict(undated.fetchall()) == NAMES


@pytest.mark.parametrize(
    "blank", [" ", "\n", "\r\n", "\t ", "\u00a0", "\u200b", "\u202e", "\u2066", "\u3000", "\ufeff", "\x1b"]
)
def test_a_label_has_its_name_without_the_blanks_at_its_ends(project: DbtProject, blank: str) -> None:
    with project.database.connect() as connection:
        inserted = connection.execute(
            "insert into chat_rollups.labels (label) values (%s), (%s), (%s) returning name, undated",
            [f"{blank}gpt-4o", f"gpt-4o-2024-08-06{blank}", f"{blank}my{blank}model{blank}"],
        ).fetchall()
    inner = f"my{blank}model"
    assert inserted == [("gpt-4o", "gpt-4o"), ("gpt-4o-2024-08-06", "gpt-4o"), (inner, inner)]


def test_one_session_at_a_time_deletes_the_changes_that_all_rollups_have_counted(project: DbtProject) -> None:
    def left() -> int:
        connection.execute("set lock_timeout = '1s'; select chat_rollups.forget_counted_changes()")
        return len(connection.execute("select from chat_rollups.drained_changes").fetchall())

    lock = "select from chat_rollups.progress where name {} 'drained_changes' for update"
    with project.database.connect() as connection, project.database.connect() as other:
        insert(connection, "chat_rollups.drained_changes", change(1, 1, 22, 0), change(2, 1, 22, 0))
        connection.execute("update chat_rollups.progress set drain_number = 1")
        with other.transaction():
            other.execute(lock.format("="))
            assert left() == 2
        with other.transaction():
            other.execute(lock.format("<>"))
            assert left() == 1
        connection.execute("update chat_rollups.progress set drain_number = 2")
        project.run("run", "--select", "drained_changes")  # without any report, which would delete them too
        assert connection.execute("select count(*) from chat_rollups.drained_changes").fetchone() == (0,)
