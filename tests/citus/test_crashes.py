"""Workers crash while the loader writes and dbt runs: nothing that was accepted is lost, and nothing counts twice."""

from __future__ import annotations

import datetime as dt
import random
import threading
import time
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from chat_telemetry import TelemetryClient
from tests.citus.conftest import ON_CITUS
from tests.citus.feed import counts
from tests.citus.server import CitusServer
from tests.dbt_project import DbtProject
from tests.loader.conftest import record, wait_until
from tests.reports.scenes import AS_OF, assert_exact, start, value

pytestmark = [*ON_CITUS, pytest.mark.timeout(900)]
CRASHES = 8
ASKED_AT = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
PREPARED = "select count(*) from pg_prepared_xacts where database = current_database()"


# A session of dbt that is in the middle of a model.
DBT_WORKS = """
select count(*) from pg_stat_activity
where usename = 'telemetry_transformer' and state = 'active' and query ~ 'chat_rollups.(drain|fill)'
"""


def recover(cluster: CitusServer, dbname: str) -> None:
    """Let Citus end the transactions that a crash left between the two phases of a commit, as it does each minute."""
    with psycopg.connect(cluster.conninfo(dbname), autocommit=True) as coordinator:
        deadline = time.monotonic() + 60
        while True:
            coordinator.execute("select recover_prepared_transactions()")
            left = 0
            for node in cluster.nodes(dbname):
                with psycopg.connect(node, autocommit=True) as connection:
                    row = connection.execute(PREPARED).fetchone()
                    left += row[0] if row else 0
            if not left:
                return
            assert time.monotonic() < deadline, f"{left} transactions stay prepared"
            time.sleep(0.2)


@pytest.fixture(autouse=True)
def _workers(cluster: CitusServer) -> None:
    if not cluster.workers:
        pytest.skip("the cluster has no worker beside its coordinator")


def crash(cluster: CitusServer, project: DbtProject, rng: random.Random) -> None:
    cluster.crash(rng.choice(cluster.nodes(project.database.name)[1:]))


def test_crashed_workers_lose_and_double_nothing(
    cluster: CitusServer, project: DbtProject, logins: dict[str, str], tmp_path: Path
) -> None:
    rng = random.Random(15)  # noqa: S311
    (user,) = project.database.add_users()
    project.run("run", report_as_of=AS_OF)
    nodes = cluster.nodes(project.database.name, logins["service_role"])
    accepted: list[UUID] = []
    stop = threading.Event()

    def chat(place: int) -> None:
        with TelemetryClient(nodes[0], journal_dir=tmp_path / str(place), max_batch_age=0.05) as client:
            while not stop.wait(0.002):
                request = record(user_id=user, created_at=ASKED_AT, ttfb_ms=len(accepted) % 500)
                if client.persist(request):
                    accepted.append(request.log_id)
            wait_until(lambda: client.stats().pending == 0, timeout=180)

    threads = [threading.Thread(target=chat, args=[place]) for place in range(2)]
    for thread in threads:
        thread.start()
    failed = 0
    try:
        for _ in range(CRASHES):
            with start(project, "run", report_as_of=AS_OF) as run:
                wait_until(lambda: value(project, DBT_WORKS) or run.poll() is not None, timeout=120)
                time.sleep(rng.uniform(0, 1))
                crash(cluster, project, rng)
                run.communicate(timeout=240)
            failed += run.returncode != 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    recover(cluster, project.database.name)

    with project.database.connect() as connection:
        stored = [log_id for (log_id,) in connection.execute("select log_id from public.chat_telemetry_log").fetchall()]
    assert len(accepted) > 1_000
    assert sorted(stored) == sorted(accepted)
    project.run("run", report_as_of=AS_OF)
    assert_exact(project)
    assert value(project, "select sum(request_count) from chat_reports.off_topic") == len(accepted)
    print(f"{len(accepted)} accepted and stored, {CRASHES} crashes, {failed} runs of dbt failed")  # noqa: T201


def test_a_crash_in_the_middle_of_changes_leaves_the_feed_equal_to_the_log(
    cluster: CitusServer, project: DbtProject
) -> None:
    rng = random.Random(16)  # noqa: S311
    users = project.database.add_users(3)
    stop = threading.Event()
    refused = 0

    def change() -> None:
        nonlocal refused
        statements = [
            "insert into public.chat_telemetry_log (user_id, user_question, ttfb_ms)"
            f" select '{users[0]}', 'n', n from generate_series(1, 40) as n",
            "update public.chat_telemetry_log set ttfb_ms = ttfb_ms + 1 where ttfb_ms % 4 = 0",
            "delete from public.chat_telemetry_log where ttfb_ms % 7 = 0",
        ]
        while not stop.is_set():
            try:
                with project.database.connect() as connection:
                    while not stop.is_set():
                        connection.execute(rng.choice(statements))
            except psycopg.Error:
                refused += 1
                time.sleep(0.05)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(CRASHES):
            time.sleep(rng.uniform(0.3, 1.5))
            crash(cluster, project, rng)
    finally:
        stop.set()
        thread.join()
    recover(cluster, project.database.name)
    logged, fed = counts(project.database)
    assert logged == fed > 0
    assert refused > 0
    project.run("run", report_as_of=AS_OF)
    assert_exact(project)
