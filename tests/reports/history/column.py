"""A new column of the log that daily_requests groups by: the migration and the change of the project that add it."""

from __future__ import annotations

import re
import time
from dataclasses import replace

from psycopg import errors as sqlstate

from chat_telemetry._cli.sql_project import project_directory
from tests.dbt_project import DbtProject
from tests.reports.history.driver import History
from tests.reports.history.process import TIMEOUT_S
from tests.reports.scenes import copy_project, edit

NAME = "prompt_version"
VALUES: list[str | None] = ["v1", "v2", "v3", "none", "", None]

# One transaction, as a migration is.
TABLES = f"""
set local lock_timeout = '2s';
alter table public.chat_telemetry_log add column {NAME} text;
grant select ({NAME}) on table public.chat_telemetry_log to telemetry_transformer;
alter table public.chat_telemetry_changes add column {NAME} text;
alter table chat_rollups.drained_changes add column {NAME} integer not null default 0;
alter table chat_rollups.daily_requests
add column {NAME} integer not null default 0,
drop constraint daily_requests_pkey,
add constraint daily_requests_pkey primary key (
    day, sql_model, response_model, error_type, failed_step, is_off_topic, {NAME}
);
"""

# The statements of the migrations in which the new column is treated like response_model: file, first words, and texts
# with their replacements.
STATEMENTS = [
    (
        "1000_create_change_feed",
        "create or replace function public.chat_telemetry_feed_changes(",
        [("response_model\n", f"response_model, {NAME}\n")],
    ),
    (
        "1300_create_drain",
        "create or replace function chat_rollups.label_names(",
        [
            ("response_model from", f"response_model, {NAME} from"),
            ("(response_model)\n", f"(response_model), ({NAME})\n"),
        ],
    ),
    (
        "1300_create_drain",
        "create or replace function chat_rollups.drain(",
        [
            ("labels as response_model\n", f"labels as response_model, chat_rollups.labels as {NAME}\n"),
            (
                "and response_model.label = coalesce(changes.response_model, '')\n",
                "and response_model.label = coalesce(changes.response_model, '')"
                f" and {NAME}.label = coalesce(changes.{NAME}, '')\n",
            ),
            (
                "response_model.id as response_model_id\n",
                f"response_model.id as response_model_id, {NAME}.id as {NAME}_id\n",
            ),
            ("response_model, created_at", f"response_model, {NAME}, created_at"),
            ("response_model_id,\n", f"response_model_id, {NAME}_id,\n"),
        ],
    ),
    (
        "1100_create_rollups",
        "create or replace view chat_rollups.log_as_drained",
        [
            replacement
            for table in ("requests", "waiting")
            for replacement in (
                (f"{table}.response_cached_tokens\n", f"{table}.response_cached_tokens, {NAME}.id as {NAME}\n"),
                (
                    f"coalesce({table}.response_model, '') = response_model.label",
                    f"coalesce({table}.response_model, '') = response_model.label"
                    f" left join chat_rollups.labels as {NAME} on coalesce({table}.{NAME}, '') = {NAME}.label",
                ),
            )
        ],
    ),
]
EDITS = [
    ("macros/counting/count_requests.sql", "is_off_topic,\n", f"is_off_topic,\n        {NAME},\n"),
    ("macros/counting/count_requests.sql", "group by 1, 2, 3, 4, 5, 6", "group by 1, 2, 3, 4, 5, 6, 7"),
    *[
        (
            f"models/rollups/{model}.yml",
            "    columns:\n",
            f"    columns:\n      - {{name: {NAME}, description: Label.}}\n",
        )
        for model in ("drained_changes", "daily_requests")
    ],
]


def migrate(history: History) -> None:
    """Add the column when no transaction is open. The migration waits for writers and a run, or they for it."""
    statements = [TABLES, *(statement_of(*statement) for statement in STATEMENTS)]
    deadline = time.monotonic() + TIMEOUT_S
    while not _apply(history, statements):
        assert time.monotonic() < deadline, "the migration never got its locks"
        history.write(20)
    history.tell(f"column {NAME} was added")


def project_with_column(project: DbtProject) -> DbtProject:
    """A copy of the project that counts by the column, with a separate target directory."""
    directory = project.scratch / "project_with_column"
    copy_project(project.directory, directory)
    copy = replace(project, directory=directory, scratch=directory)
    for name, old, new in EDITS:
        edit(copy, name, old, new)
    return copy


def _apply(history: History, statements: list[str]) -> bool:
    history.writer.end_transactions()
    try:
        with history.project.database.connect() as connection, connection.transaction():
            for statement in statements:
                connection.execute(statement)
            history.write(5)
    except (sqlstate.LockNotAvailable, sqlstate.DeadlockDetected):
        return False
    return True


def statement_of(migration: str, beginning: str, replacements: list[tuple[str, str]]) -> str:
    (path,) = (project_directory() / "migrations").glob(f"*{migration}.sql")
    ending = r"\n\$\$;" if " function " in beginning else ";"
    found = re.search(re.escape(beginning) + ".*?" + ending, path.read_text(encoding="utf-8"), re.DOTALL)
    assert found, f"{path.name} has no statement {beginning}"
    statement = found.group()
    for old, new in replacements:
        statement = _replaced(statement, old, new)
    return statement


def _replaced(text: str, old: str, new: str) -> str:
    assert old in text, f"{old!r} is not in the statement: change also the replacements in {__name__}"
    return text.replace(old, new)
