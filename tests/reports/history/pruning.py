"""Events that prune the log, and what may happen to it behind the horizon.

What was pruned stays counted. So the oracle keeps a copy of it, from the log as of the drain with which the horizon
was set, and direct SQL reads this copy and the log from the horizon on.
"""

from __future__ import annotations

import datetime as dt
import signal
import subprocess
import sys
from collections.abc import Callable

from chat_telemetry._cli.app import run
from tests.reports.history.driver import AS_OF, History

# The last day moves by up to 60 days, and no run may need days before the horizon.
HORIZONS = [AS_OF - dt.timedelta(days=days) for days in (125, 200, 363, 364, 365, 399, 400)]
DAY = "(least(greatest(created_at, '1999-12-30+00'), '9999-12-30+00') at time zone %(timezone)s)::date"
COLUMNS = """
    user_id, created_at, is_off_topic, nl_to_sql_duration_ms, sql_execution_duration_ms,
    response_generation_duration_ms, ttfb_ms, sql_input_tokens, sql_output_tokens, sql_cached_tokens,
    response_input_tokens, response_output_tokens, response_cached_tokens
"""
LABELS = ("error_type", "failed_step", "sql_model", "response_model")
CREATE = f"""
create schema if not exists oracle;
create table if not exists oracle.pruned as
select log_id, {COLUMNS}, {", ".join(LABELS)}, generated_sql, sql_fingerprint, result_row_count
from public.chat_telemetry_log where false;
create table if not exists oracle.horizon as select null::date as day, null::text as timezone;
create or replace view oracle.log as
select log_id, {COLUMNS}, {", ".join(LABELS)}, generated_sql, sql_fingerprint, result_row_count from oracle.pruned
union all
select log_id, {COLUMNS}, {", ".join(LABELS)}, generated_sql, sql_fingerprint, result_row_count
from public.chat_telemetry_log
where {DAY.replace("%(timezone)s", "(select timezone from oracle.horizon)")} >= (select day from oracle.horizon)
"""
# In the transaction of set_horizon. Changes that are not drained cancel out, so this is what the drain has counted.
# Each row has a new id, because the row of the log may move to a later day.
KEEP = f"""
insert into oracle.pruned (log_id, {COLUMNS}, {", ".join(LABELS)})
select gen_random_uuid(), {COLUMNS}, {", ".join(f"{label}_label.label" for label in LABELS)}
from chat_rollups.log_as_drained as changes
{" ".join(f"left join chat_rollups.labels as {label}_label on changes.{label} = {label}_label.id" for label in LABELS)}
where {DAY} < %(day)s and {DAY} >= coalesce((select day from oracle.horizon), '-infinity')
group by log_id, {COLUMNS}, {", ".join(f"{label}_label.label" for label in LABELS)}
having sum(changes.sign) > 0
"""
NOTE = "update oracle.horizon set day = %(day)s, timezone = %(timezone)s"
LATE = """
insert into public.chat_telemetry_log (user_id, user_question, created_at, sql_model)
select id, 'late', %s::date - 3 + interval '1 minute' * n, 'gpt-4o'
from auth.users cross join generate_series(1, 3) as n limit 20
"""
# Killed before a transaction of the prune, the number of which is the first argument.
KILLED = """
import os, signal, sys
from chat_telemetry._cli import main, prune
prune.BATCH_ROWS = 3
left = int(sys.argv.pop(1))
original = prune.transaction
def transaction(connection):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(connection)
prune.transaction = transaction
main()
"""


def is_pruned(history: History) -> None:
    """A prune moves the horizon, beside open transactions, and deletes what is older."""
    _move_horizon(history)
    _prune(history)


def is_pruned_beside_a_run(history: History) -> None:
    process = history.start("run")
    history.write(history.rng.randrange(50))
    _move_horizon(history)
    _prune(history)
    history.finish(process)


def is_killed_while_it_prunes(history: History) -> None:
    """Between any two batches. The next prune continues."""
    _move_horizon(history)
    most = str(history.rng.randrange(3, 12))
    command = [sys.executable, "-c", KILLED, most, *_arguments(history)]
    killed = subprocess.run(command, check=False, capture_output=True, text=True)
    # An open transaction can hold the lock on a row.
    is_locked = killed.returncode == 1 and "lock timeout" in killed.stderr
    assert is_locked or killed.returncode in (0, -signal.SIGKILL), killed.stderr
    history.tell(f"prune ended with {killed.returncode}")
    if history.rng.random() < 0.5:
        history.run("run")
        _prune(history)


def is_pruned_and_rebuilt(history: History) -> None:
    _move_horizon(history)
    history.run("run", "--full-refresh")
    _prune(history)
    history.run("run", "--full-refresh")


def has_late_rows_before_the_horizon(history: History) -> None:
    """They are discarded and stay uncounted, also in a rebuild. A later prune deletes them."""
    if not history.horizon:
        _move_horizon(history)
    history.writer.end_transactions()
    history.run("run")
    before = history.execute("select discarded_changes from chat_rollups.progress where name = 'drained_changes'")
    (discarded,) = before.fetchone() or (0,)
    late = history.execute(LATE, [history.horizon]).rowcount
    history.run("run")
    after = history.execute("select discarded_changes from chat_rollups.progress where name = 'drained_changes'")
    assert after.fetchone() == (discarded + late,)
    if history.rng.random() < 0.5:
        history.run("run", "--full-refresh")


def loses_users_after_a_prune(history: History) -> None:
    """The erased rows before the horizon stay counted, without the user; those after it are subtracted."""
    if not history.horizon:
        _move_horizon(history)
    history.writer.end_transactions()  # the deletion waits for them, and this process would not go on
    history.execute("delete from auth.users where id in (select user_id from public.chat_telemetry_log limit 3)")
    history.run("run")


def _move_horizon(history: History) -> None:
    """Set the horizon as prune does, and keep for the oracle what the rollups keep."""
    day = max(history.rng.choice(HORIZONS), history.horizon or dt.date.min)
    parameters = {"day": day, "timezone": history.timezone}
    with history.project.database.connect() as connection:
        connection.execute("set default_transaction_isolation = 'read committed'")
        connection.execute(CREATE)
        with connection.transaction():
            horizon = connection.execute("select chat_rollups.set_horizon(%(day)s, %(timezone)s)", parameters)
            assert horizon.fetchone() == (day,)
            connection.execute(KEEP, parameters)
            connection.execute(NOTE, parameters)
    history.horizon, history.log = day, "oracle.log"
    history.tell(f"the horizon is {day}")
    history.write(20)


def _arguments(history: History) -> list[str]:
    assert history.horizon
    days = (dt.datetime.now(dt.UTC).date() - history.horizon).days
    return ["prune", "--older-than", f"{days + 2}d", "--yes", "--database-url", history.project.database.conninfo]


def _prune(history: History) -> None:
    history.writer.end_transactions()
    assert run(_arguments(history)) == 0
    history.tell("pruned")


EVENTS: list[Callable[[History], None]] = [
    is_pruned,
    is_pruned_beside_a_run,
    is_killed_while_it_prunes,
    is_pruned_and_rebuilt,
    has_late_rows_before_the_horizon,
    loses_users_after_a_prune,
]
