"""Bad moments of an operator: after each one, nothing is lost or doubled, readers saw no error, the next run repairs.

Kills between models, lost sessions, overlapping runs, another last day and a restored dump are events of the random
histories, in history/.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

import psycopg
import pytest
from psycopg import sql

from tests.conftest import SERVERS, Database, Server
from tests.dbt_project import DbtProject, failures, template_with_prices
from tests.loader.conftest import wait_until
from tests.reports.contract import COLUMNS
from tests.reports.scenes import AS_OF, assert_exact, edit, execute, holding, start, wait_until_waiting

# Most of the time goes into dbt, so one server is enough.
pytestmark = pytest.mark.parametrize("postgres", SERVERS[-1:], indirect=True, scope="session")

ASK = f"""
insert into public.chat_telemetry_log (
    user_id, user_question, created_at, generated_sql, sql_model, sql_input_tokens, ttfb_ms
)
select
    (select id from auth.users limit 1), 'How many?', timestamptz '{AS_OF} 12:00Z', 'select 1', 'gpt-4o-mini', 1000, 5
"""
MANY = ASK + "from generate_series(1, 50000)"
DISK_MB = 120


class Reader(Thread):
    """A BI session that reads every report again and again. Collects errors and reports without rows."""

    def __init__(self, project: DbtProject) -> None:
        super().__init__()
        self.problems: list[str] = []
        self.rounds = 0
        self._is_over = Event()
        self._connection = project.database.as_role("telemetry_reader")
        self._connection.execute("set statement_timeout = '60s'")

    def run(self) -> None:
        with self._connection as connection:
            while not self._is_over.is_set():
                for report in COLUMNS:
                    try:
                        rows = connection.execute(f"select * from chat_reports.{report}").fetchall()
                    except psycopg.Error as error:
                        self.problems.append(f"{report}: {error}")
                        return
                    if not rows:
                        self.problems.append(f"{report} is empty")
                self.rounds += 1

    def end(self) -> None:
        self._is_over.set()
        self.join()


@contextmanager
def reader(project: DbtProject) -> Iterator[Reader]:
    """Reads meanwhile, at least once before the block and once after it. Nothing may go wrong."""
    thread = Reader(project)
    thread.start()
    try:
        wait_until(lambda: thread.rounds > 0 or thread.problems)
        yield thread
        before = thread.rounds
        wait_until(lambda: thread.rounds > before + 1 or thread.problems)
    finally:
        thread.end()
    assert thread.problems == []


def test_a_session_reads_while_prices_names_and_the_sql_of_a_report_change(ours: DbtProject) -> None:
    execute(ours, ASK)
    ours.run("run", report_as_of=AS_OF)
    with reader(ours):
        execute(
            ours,
            "insert into chat_rollups.own_prices (model, valid_from, input_usd_per_mtok, output_usd_per_mtok, source)"
            " values ('gpt-4o-mini', '2026-01-01', 7, 8, 'contract')",
        )
        ours.run("run", report_as_of=AS_OF)
        execute(ours, "update public.chat_telemetry_log set sql_model = 'gpt-4o' where sql_model = 'gpt-4o-mini'")
        ours.run("run", report_as_of=AS_OF)
        edit(ours, "models/reports/off_topic.sql", "as off_topic_rate", "* 1.0 as off_topic_rate")
        ours.run("run", report_as_of=AS_OF)
    assert_exact(ours)


def test_a_crash_of_the_server_in_the_middle_of_a_refresh(ours: DbtProject, postgres: Server) -> None:
    if postgres.cluster is None:
        pytest.skip("an external server is not stopped")
    execute(ours, ASK)
    process = start(ours, "run", report_as_of=AS_OF)
    # The refresh of a report waits, in the middle of the statement.
    with suppress(psycopg.OperationalError), holding(ours, "lock table chat_rollups.labels", "2min"):
        wait_until_waiting(ours, 1, process)
        postgres.cluster.stop("immediate")
        postgres.cluster.start()
    process.communicate()
    assert process.returncode != 0
    with reader(ours):
        ours.run("run", report_as_of=AS_OF)
    assert_exact(ours)


def test_a_transaction_that_is_open_for_the_whole_run(ours: DbtProject) -> None:
    with ours.database.connect() as late, reader(ours):
        with late.transaction():
            late.execute(ASK)
            late.execute("update public.chat_telemetry_log set sql_input_tokens = 5 where sql_model is not null")
            execute(ours, ASK)
            ours.run("run", report_as_of=AS_OF)
            ours.run("run", "--full-refresh", report_as_of=AS_OF)
        ours.run("run", report_as_of=AS_OF)
    assert_exact(ours)


def test_a_clock_that_jumps_back_and_forth(ours: DbtProject) -> None:
    """The day of the server is the default of report_as_of."""
    execute(ours, ASK)
    with reader(ours):
        for day in ("2026-11-23", "2026-11-21", AS_OF):
            ours.run("run", report_as_of=day)
            assert_exact(ours, day)


@contextmanager
def small_disk(postgres: Server, directory: Path) -> Iterator[Path]:
    """A file system of DISK_MB, in which the server may write."""
    assert postgres.cluster
    owner = (postgres.cluster.data / "PG_VERSION").stat()
    options = f"size={DISK_MB}m,uid={owner.st_uid},gid={owner.st_gid},mode=0700"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(directory)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("only root may mount a small file system")
    try:
        yield directory
    finally:
        subprocess.run(["umount", str(directory)], check=True)
        directory.rmdir()


def test_a_full_disk_stops_a_run_and_nothing_else(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The tables are on a small file system of their own, so that the server's log has space: a full one crashes it."""
    if os.geteuid() or postgres.cluster is None:
        pytest.skip("only root may mount a small file system, on a server of the tests")
    directory = postgres.cluster.data.parent / "small"
    directory.mkdir()
    scratch = tmp_path_factory.mktemp("scratch")
    template = sql.Identifier(template_with_prices(postgres))
    with small_disk(postgres, directory):
        postgres.execute(sql.SQL("create tablespace small location {}").format(sql.Literal(str(directory))))
        try:
            postgres.execute(sql.SQL("create database full_disk template {} tablespace small").format(template))
            project = DbtProject(Database(postgres, "full_disk"), scratch)
            project.database.add_users()
            execute(project, MANY)
            execute(project, ASK + "from generate_series(1, 5)")
            project.run("run", report_as_of=AS_OF)
            execute(project, "update public.chat_telemetry_log set sql_input_tokens = 2")
            filler = directory / "filler"
            free = os.statvfs(directory).f_bavail * os.statvfs(directory).f_frsize
            filler.write_bytes(bytes(free - 2**20))
            with reader(project):
                outcome = project.invoke("run", report_as_of=AS_OF)
                assert not outcome.success
                assert "No space left on device" in failures(outcome)
                filler.unlink()
                project.run("run", report_as_of=AS_OF)
            assert_exact(project)
        finally:
            postgres.drop_database("full_disk")
            postgres.execute(sql.SQL("drop tablespace small"))
