"""Whatever happens to the server, or between it and the chat processes: accepted is stored, once."""

from __future__ import annotations

import json
import time

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.conftest import Server
from tests.loader.conftest import WRITER, wait_until
from tests.loader.faults.conftest import ON_NEWEST_SERVER, Workers
from tests.loader.faults.pgbouncer import pgbouncer
from tests.loader.faults.proxy import AnswerSwallower

pytestmark = ON_NEWEST_SERVER
faults = pytest.mark.faults


def crash(workers: Workers, postgres: Server) -> None:
    if postgres.embedded:
        postgres.embedded.stop("immediate")
        try:
            wait_for_more(workers, 50)
        finally:
            postgres.embedded.start()
    else:
        workers.log.cut_connections()


def wait_for_more(workers: Workers, count: int = 100) -> None:
    enough = sum(len(worker.accepted) for worker in workers.all) + count
    wait_until(lambda: sum(len(worker.accepted) for worker in workers.all) >= enough)


@pytest.mark.parametrize("crashes", [1, pytest.param(20, marks=faults)])
def test_a_server_that_crashes_and_comes_back(workers: Workers, postgres: Server, crashes: int) -> None:
    workers.start(3)
    for _ in range(crashes):
        wait_for_more(workers)
        crash(workers, postgres)
        wait_for_more(workers)
    workers.end()
    assert workers.assert_accepted_is_stored() == workers.sum("stored") + workers.sum("duplicates")


@pytest.mark.parametrize("seconds", [2, pytest.param(60, marks=faults)])
def test_connections_cut_every_100_ms(workers: Workers, seconds: int) -> None:
    workers.start(3)
    cuts = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        cuts += workers.log.cut_connections()
        time.sleep(0.1)  # the fault itself
    workers.end()
    assert cuts > seconds
    assert workers.assert_accepted_is_stored() == workers.sum("stored") + workers.sum("duplicates")
    print(cuts, "cuts")


@pytest.mark.parametrize("enough", [10, pytest.param(300, marks=faults)])
def test_answers_to_commits_that_never_arrive(workers: Workers, postgres: Server, enough: int) -> None:
    with AnswerSwallower(*address(postgres)) as proxy:
        workers.start(3, dsn=over_tcp(workers, proxy.port))
        wait_until(lambda: proxy.swallowed >= enough, 20 + enough)
        proxy.swallows = False
        workers.end()
    assert workers.sum("duplicates") >= enough, "a retry met rows that were stored already"
    assert workers.assert_accepted_is_stored() == workers.sum("stored") + workers.sum("duplicates")


@pytest.mark.parametrize("records", [300, pytest.param(10_000, marks=faults)])
def test_pgbouncer_in_transaction_mode(workers: Workers, postgres: Server, records: int) -> None:
    with pgbouncer(*address(postgres), user=WRITER, password=WRITER, pool_size=2) as port:
        workers.start(4, dsn=over_tcp(workers, port), records=records)
        workers.end()
    assert workers.assert_accepted_is_stored() == 4 * records == workers.sum("stored")


def test_poison_rows_among_five_hundred(workers: Workers) -> None:
    for worker in workers.start(2, poison=3, records=497, pause=0, settings={"max_batch_age": 2}):
        assert worker.end() == 0
    assert workers.assert_accepted_is_stored() == 2 * 497
    assert (workers.sum("stored"), workers.sum("rejected")) == (2 * 497, 2 * 3)
    letters = [json.loads(line) for line in (workers.journal_dir / "dead-letters.jsonl").read_text().splitlines()]
    poison = [str(log_id) for worker in workers.all for log_id in worker.poison]
    assert sorted(letter["record"]["log_id"] for letter in letters) == sorted(poison)
    assert workers.journals() == []


def test_a_disk_that_is_full_sends_records_to_memory(workers: Workers) -> None:
    with workers.log.database.connect() as other, other.transaction():
        other.execute("lock table public.chat_telemetry_log in access exclusive mode")
        started = workers.start(2, file_size_limit=100_000)
        wait_until(lambda: all(len(worker.accepted) > 500 for worker in started))
    workers.end()
    assert workers.sum("journal_failures") > 100
    assert workers.assert_accepted_is_stored() == workers.sum("accepted") == workers.sum("stored")
    assert workers.journals() == []


def test_an_exit_while_the_database_is_dead_is_bounded_and_loses_nothing(workers: Workers) -> None:
    settings = {"exit_timeout": 1}
    started = time.monotonic()
    for worker in workers.start(2, dsn="host=127.0.0.1 port=1", records=100, closes=False, settings=settings):
        assert worker.end() == 0
    assert time.monotonic() - started < 20
    assert len(workers.journals()) == 2
    workers.recover()
    assert workers.assert_accepted_is_stored() >= 200


def test_without_a_journal_the_loss_is_what_the_counters_say(workers: Workers, postgres: Server) -> None:
    if not postgres.embedded:
        pytest.skip("only the embedded server can be stopped")
    workers.start(3, settings={"journal_dir": None}, close_timeout=1)
    wait_for_more(workers, 200)
    postgres.embedded.stop("immediate")
    try:
        wait_for_more(workers)
        workers.end()
    finally:
        postgres.embedded.start()
    accepted, stored, lost = (workers.sum(counter) for counter in ("accepted", "stored", "discarded_at_exit"))
    assert lost > 50
    # What was under way in the crash may have been stored without an answer: at most a batch for each process.
    assert accepted == stored + lost
    assert 0 <= len(workers.log.stored_ids()) - stored <= 3 * 500


def address(postgres: Server) -> tuple[str, int]:
    if postgres.embedded:
        return "127.0.0.1", postgres.embedded.port
    with psycopg.connect(postgres.conninfo("postgres")) as connection:
        return connection.info.host, connection.info.port


def over_tcp(workers: Workers, port: int) -> str:
    return make_conninfo(
        host="127.0.0.1", port=port, user=WRITER, password=WRITER, dbname=workers.log.database.name, sslmode="disable"
    )
