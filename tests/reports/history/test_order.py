"""Orders of two runs that are too rare in a random history, made by locks."""

from __future__ import annotations

import time
from collections.abc import Callable

import psycopg

from tests.conftest import Database
from tests.dbt_project import DbtProject
from tests.reports.history.driver import LOCK, blocked_by
from tests.reports.history.process import TIMEOUT_S, DbtProcess

NEW_REQUESTS = """
insert into public.chat_telemetry_log (user_id, user_question)
select id, 'How many?' from auth.users cross join generate_series(1, 10)
"""


def test_a_rollup_that_waited_for_another_run_does_not_go_back_to_an_older_drain(project: DbtProject) -> None:
    """When the waiting run gets its row of progress, the other run has counted a drain that is newer than the wait."""
    project.database.add_users()
    count_users = ("run", "--select", "daily_users")
    project.run("run", "--select", "drained_changes", "daily_users")
    with project.database.connect() as other_run:
        other_run.execute(NEW_REQUESTS)
        with other_run.transaction():
            other_run.execute(LOCK, ["daily_users"])
            waiting = DbtProcess(project, *count_users)
            wait_until(lambda: bool(blocked_by(other_run)), waiting)
            project.run("run", "--select", "drained_changes")
            other_run.execute(statement_of(project, "daily_users"))
        assert waiting.succeeded(), waiting.said()
        assert other_run.execute(
            "select distinct drain_number from chat_rollups.progress where name in ('drained_changes', 'daily_users')"
        ).fetchall() == [(1,)]
    project.run(*count_users)
    assert_each_request_is_counted_once(project.database, "daily_users")


def test_a_rebuild_keeps_the_drain_from_committing_meanwhile(project: DbtProject) -> None:
    """The rebuild counts up to the newest drain. If a later drain emptied the feed, its changes would count twice."""
    project.database.add_users()
    project.run("run", "--select", "drained_changes", "daily_requests")
    with project.database.connect() as holder:
        holder.execute(NEW_REQUESTS)
        with holder.transaction():
            holder.execute("lock table chat_rollups.daily_requests in share mode")
            rebuild = DbtProcess(project, "run", "--full-refresh", "--select", "daily_requests")
            wait_until(lambda: bool(blocked_by(holder)), rebuild)
            (rebuilding,) = blocked_by(holder)
            drain = DbtProcess(project, "run", "--select", "drained_changes")
            wait_until(lambda: not drain.is_running() or is_waiting_for(holder, rebuilding), rebuild)
        assert rebuild.succeeded(), rebuild.said()
        assert drain.succeeded(), drain.said()
    project.run("run", "--select", "daily_requests")
    assert_each_request_is_counted_once(project.database, "daily_requests")


def wait_until(is_so: Callable[[], bool], process: DbtProcess) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not is_so():
        assert process.is_running(), process.said()
        assert time.monotonic() < deadline, process.said()
        time.sleep(0.01)


def statement_of(project: DbtProject, rollup: str) -> str:
    """The statement that dbt sent last to fill the rollup."""
    run = project.scratch / "target" / "run" / "chat_telemetry" / "models" / "rollups" / f"{rollup}.sql"
    return run.read_text(encoding="utf-8")


def is_waiting_for(connection: psycopg.Connection, session: int) -> bool:
    """Whether a session waits for a lock of the given one."""
    waiting = "select exists (select from pg_locks where not granted and %s = any(pg_blocking_pids(pid)))"
    return connection.execute(waiting, [session]).fetchone() == (True,)


def assert_each_request_is_counted_once(database: Database, rollup: str) -> None:
    with database.connect() as connection:
        counted = connection.execute(f"select sum(request_count) from chat_rollups.{rollup}").fetchone()
        assert counted == connection.execute("select count(*) from public.chat_telemetry_log").fetchone() == (10,)
