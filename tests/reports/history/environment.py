"""Events around dbt: a setting of dbt or the database, another feed owner, other prices and names, a column, a dump."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from psycopg import sql

from tests.reports.history import column
from tests.reports.history.driver import AS_OF, History
from tests.reports.history.dump import client_programs, dumping, restore
from tests.reports.random_log import MODELS

ISOLATION_LEVELS = ["read committed", "repeatable read", "serializable"]
NAMES = [model for model in MODELS if model]
OTHER_SCHEMA = "another_schema"
UNPOPULATED = "select count(*) from pg_class where relnamespace = 'chat_reports'::regnamespace and not relispopulated"


def switches_its_transaction_mode(history: History) -> None:
    """With `autocommit: true` in the profile, dbt sends no COMMIT and each statement is a transaction."""
    dbt_log = history.project.scratch / "logs" / "dbt.log"
    is_on = history.project.settings.get("CHAT_TELEMETRY_TEST_AUTOCOMMIT") != "True"
    history.set(CHAT_TELEMETRY_TEST_AUTOCOMMIT=str(is_on))
    dbt_log.unlink(missing_ok=True)
    history.run("run")
    assert (": COMMIT" in dbt_log.read_text(encoding="utf-8")) != is_on


def has_another_default_isolation(history: History) -> None:
    """The new default holds for chat requests and for dbt."""
    level = history.rng.choice(ISOLATION_LEVELS)
    history.tell(f"default isolation: {level}")
    alter = sql.SQL("alter database {} set default_transaction_isolation = {}")
    history.execute(alter.format(sql.Identifier(history.project.database.name), level))
    history.writer.connect(history.project.database)
    history.write(50)
    history.run("run")


def is_run_by_another_target_schema(history: History) -> None:
    """A run of another target schema is refused and changes nothing."""
    before, own = history.footprint(), history.project
    history.set(CHAT_TELEMETRY_DBT_SCHEMA=OTHER_SCHEMA)
    said = history.refuse(
        *history.rng.choice([["run"], ["run", "--full-refresh"], ["seed"], ["run", "--select", "errors"]])
    )
    history.project = own
    assert f'belong to the dbt target schema "chat_telemetry", not to "{OTHER_SCHEMA}"' in said
    assert f"chat-telemetry migrate --owner {OTHER_SCHEMA}" in said
    assert history.footprint() == before


def has_a_model_renamed(history: History) -> None:
    """A model is renamed in all of its requests except those that an open transaction has locked."""
    old, new = history.rng.choice(NAMES), history.rng.choice([*NAMES, f"new-{history.rng.randrange(100)}"])
    call = history.rng.choice(["sql_model", "response_model"])
    renamed = history.execute(
        f"update public.chat_telemetry_log set {call} = %s where log_id in"
        f" (select log_id from public.chat_telemetry_log where {call} = %s for update skip locked)",
        [new, old],
    )
    history.tell(f"{old} is {new} in {renamed.rowcount} rows")
    history.run("run")


def has_other_prices(history: History) -> None:
    """A corrected list price, an own price in either place, an alias that is added or deleted."""
    day = AS_OF - dt.timedelta(days=history.rng.choice([0, 5, 29, 200]))
    price = [Decimal(history.rng.randrange(1, 20_000)) / 1_000 for _ in range(2)]
    model, alias = history.rng.choice(NAMES), history.rng.choice(NAMES)
    changes: list[tuple[str, list[Any]]] = [
        (
            "update chat_prices.token_prices set input_usd_per_mtok = %s, output_usd_per_mtok = %s where model ~ '^g'",
            price,
        ),
        (
            "delete from chat_prices.token_prices where source = 'contract' and model = %s and valid_from = %s",
            [model, day],
        ),
        ("insert into chat_prices.token_prices values ('own', %s, %s, %s, null, %s, 'contract')", [model, day, *price]),
        (
            "insert into chat_rollups.own_prices values (%s, %s, %s, 0, %s, 'contract')"
            " on conflict (model, valid_from) do update set input_usd_per_mtok = excluded.input_usd_per_mtok",
            [alias, day, *price],
        ),
        ("delete from chat_prices.model_aliases where alias = %s", [alias]),
        ("insert into chat_prices.model_aliases values (%s, %s, 'own')", [alias, model]),
    ]
    for place in history.rng.choice([[0], [1, 2], [3], [4], [4, 5], [0, 1, 2, 3, 4, 5]]):
        history.execute(*changes[place])
    history.run("run")


def gets_a_column(history: History) -> None:
    """A migration adds it between writes. The old project is refused, drains nothing; the new one needs a plain run."""
    if history.column:
        history.tell("it has the column")
        return
    running = history.start("run")
    history.write(history.rng.randrange(100))
    column.migrate(history)
    history.writer.add_column(column.NAME, column.VALUES)
    history.write_until(lambda: not running.is_running())
    history.write(100)

    before = history.footprint()
    assert f"column {column.NAME} is missing in the dbt project" in history.refuse("run")
    assert history.footprint() == before

    history.project, history.column = column.project_with_column(history.project), column.NAME
    history.run("run")


def is_restored_from_a_dump(history: History) -> None:
    """The history continues with the restored database. The next run fills the unpopulated reports."""
    database = history.project.database
    programs = client_programs(database)
    if programs is None:
        history.tell("not restored: no pg_dump of the server's version is installed")
        return
    file = history.project.scratch / "dump"
    with dumping(programs, database, file) as dump:
        history.write_until(lambda: dump.poll() is not None)
    assert dump.returncode == 0
    history.move_to(restore(programs, database, file))
    assert history.execute(UNPOPULATED).fetchone() != (0,)
    history.write(50)
    history.run("run")
    assert history.execute(UNPOPULATED).fetchone() == (0,)


EVENTS: list[Callable[[History], None]] = [
    switches_its_transaction_mode,
    has_another_default_isolation,
    is_run_by_another_target_schema,
    has_a_model_renamed,
    has_other_prices,
    gets_a_column,
    is_restored_from_a_dump,
]
