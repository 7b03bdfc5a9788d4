"""Accepted records are stored once, whatever happens to the server or to the connections of the chat processes."""

from __future__ import annotations

import json
import time

import pytest
from psycopg.conninfo import make_conninfo

from tests.conftest import Server
from tests.loader.conftest import WRITER, wait_until
from tests.loader.faults.conftest import ON_NEWEST_SERVER, Workers
from tests.loader.faults.pgbouncer import pgbouncer
from tests.loader.faults.proxy import ReplyDroppingProxy

pytestmark = ON_NEWEST_SERVER
faults = pytest.mark.faults


def crash(workers: Workers, postgres: Server) -> None:
    if postgres.cluster:
        postgres.cluster.stop("immediate")
        try:
            wait_for_more(workers, 50)
        finally:
            postgres.cluster.start()
    else:
        workers.log.cut_connections()


def wait_for_more(workers: Workers, count: int = 100) -> None:
    enough = sum(len(worker.accepted) for worker in workers.all) + count
    wait_until(lambda: sum(len(worker.accepted) for worker in workers.all) >= enough)


@pytest.mark.parametrize("crashes", [1, pytest.param(20, marks=faults)])
def test_the_server_crashes_and_restarts(workers: Workers, postgres: Server, crashes: int) -> None:
    workers.start(3)
    for _ in range(crashes):
        wait_for_more(workers)
        crash(workers, postgres)
        wait_for_more(workers)
    workers.end()
    assert workers.assert_accepted_is_stored() == workers.sum("stored") + workers.sum("duplicates")


@pytest.mark.parametrize("seconds", [2, pytest.param(60, marks=faults)])
def test_all_connections_are_terminated_every_100_ms(workers: Workers, seconds: int) -> None:
    workers.start(3)
    cuts = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end or cuts <= seconds:
        cuts += workers.log.cut_connections()
        time.sleep(0.1)  # the fault itself
    workers.end()
    assert workers.assert_accepted_is_stored() == workers.sum("stored") + workers.sum("duplicates")
    print(cuts, "connections terminated")


@pytest.mark.parametrize("enough", [10, pytest.param(300, marks=faults)])
def test_replies_to_commits_never_arrive(workers: Workers, postgres: Server, enough: int) -> None:
    with ReplyDroppingProxy(*postgres.address()) as proxy:
        workers.start(3, dsn=over_tcp(workers, proxy.port))
        wait_until(lambda: proxy.dropped >= enough, 20 + enough)
        proxy.is_dropping = False
        workers.end()
    assert workers.sum("duplicates") >= enough, "a retry found its rows in the table"
    assert workers.assert_accepted_is_stored() == workers.sum("stored") + workers.sum("duplicates")


@pytest.mark.parametrize("records", [300, pytest.param(10_000, marks=faults)])
def test_pgbouncer_pools_transactions(workers: Workers, postgres: Server, records: int) -> None:
    with pgbouncer(*postgres.address(), user=WRITER, password=WRITER, pool_size=2) as port:
        workers.start(4, dsn=over_tcp(workers, port), records=records)
        workers.end()
    assert workers.assert_accepted_is_stored() == 4 * records == workers.sum("stored")


def test_three_of_five_hundred_rows_are_rejected(workers: Workers) -> None:
    for worker in workers.start(2, invalid=3, records=497, pause=0, settings={"max_batch_age": 2}):
        assert worker.end() == 0
    assert workers.assert_accepted_is_stored() == 2 * 497
    assert (workers.sum("stored"), workers.sum("rejected")) == (2 * 497, 2 * 3)
    letters = [json.loads(line) for line in (workers.journal_dir / "dead-letters.jsonl").read_text().splitlines()]
    invalid = [str(log_id) for worker in workers.all for log_id in worker.invalid]
    assert sorted(letter["record"]["log_id"] for letter in letters) == sorted(invalid)
    assert workers.journals() == []


def test_records_go_to_memory_if_the_disk_is_full(workers: Workers) -> None:
    with workers.log.database.connect() as other, other.transaction():
        other.execute("lock table public.chat_telemetry_log in access exclusive mode")
        started = workers.start(2, file_size_limit=100_000)
        wait_until(lambda: all(len(worker.accepted) > 500 for worker in started))
    workers.end()
    assert workers.sum("journal_failures") > 100
    assert workers.assert_accepted_is_stored() == workers.sum("accepted") == workers.sum("stored")
    assert workers.journals() == []


def test_an_exit_during_an_outage_ends_in_time_and_loses_nothing(workers: Workers) -> None:
    settings = {"exit_timeout": 1}
    started = workers.start(2, dsn="host=127.0.0.1 port=1", records=100, closes=False, settings=settings)
    for worker in started:
        assert worker.end(timeout=30) == 0
    assert len(workers.journals()) == 2
    workers.recover()
    assert workers.assert_accepted_is_stored() >= 200


def test_without_a_journal_the_counters_say_how_many_records_are_lost(workers: Workers, postgres: Server) -> None:
    if not postgres.cluster:
        pytest.skip("only the embedded server can be stopped")
    workers.start(3, settings={"journal_dir": None}, close_timeout=1)
    wait_for_more(workers, 200)
    postgres.cluster.stop("immediate")
    try:
        wait_for_more(workers)
        workers.end()
    finally:
        postgres.cluster.start()
    accepted, stored, lost = (workers.sum(counter) for counter in ("accepted", "stored", "discarded_at_exit"))
    assert lost > 50
    # A batch that was being sent during the crash may be stored without a reply: at most one for each process.
    assert accepted == stored + lost
    assert 0 <= len(workers.log.stored_ids()) - stored <= 3 * 500


def over_tcp(workers: Workers, port: int) -> str:
    return make_conninfo(
        host="127.0.0.1", port=port, user=WRITER, password=WRITER, dbname=workers.log.database.name, sslmode="disable"
    )
