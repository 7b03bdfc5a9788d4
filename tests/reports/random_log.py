"""A random log made from a seed: nulls everywhere, edges of days and periods, all kinds of names, impossible values."""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import random
import string
import uuid
from typing import Any
from zoneinfo import ZoneInfo

from tests.conftest import Database

INT4_MAX = 2**31 - 1
MODELS = [
    *["gpt-4o-mini", "gpt-4o-mini-2024-07-18", "gpt-4o-2024-05-13", "gpt-4o-2024-08-06", "gpt-4o-2031-01-31"],
    *["gpt-4o", "claude-sonnet-4-20250514", "claude-sonnet-4@20250514", "claude-3-5-haiku-latest", "gemini-2.5-flash"],
    *["models/gemini-2.5-flash", "deepseek-chat", "in-house-llm-7b", "in-house-llm-7b-2026-01-31", "GPT-4o", "", None],
    *["none", "unknown"],  # as the reports show a name that is missing
]
STEPS = ["understanding", "looking_up", "response", "none", "unknown", "", None]
ERRORS = [
    *["sql_generation", "sql_validation", "sql_execution", "response_generation", "unexpected", "cancelled"],
    *["none", ""],
]
# Letters that do not compress. The index of the log would refuse an error_type of more than 2,700 bytes.
LONG_NAMES = ["".join(random.Random(place).choices(string.ascii_letters, k=6_400)) for place in range(3)]  # noqa: S311
LONGEST_ERROR = 2_600
IMPOSSIBLE_TIMES = [
    *["-infinity", "4713-01-01 00:00:00+00 BC", "0001-01-01 00:00:00+00", "0001-01-01 00:00:00+14"],
    *["1999-12-31 23:59:59.999999+00", "2099-01-01 00:00:00+00", "9999-12-31 23:59:59.999999+00"],
    *["294276-12-31 23:59:59.999999+00", "infinity"],
]
OFFSETS = [dt.timedelta(0), dt.timedelta(microseconds=-1), dt.timedelta(microseconds=1), dt.timedelta(hours=1)]


def fill(database: Database, seed: int, rows: int, as_of: dt.date, timezone: str) -> None:
    """Insert `rows` random requests: some after `as_of`, some up to 400 days before it."""
    rng = random.Random(seed)  # noqa: S311
    users = database.add_users(12)
    conversations = database.add_conversations(users)
    requests = [random_request(rng, users, conversations, as_of, ZoneInfo(timezone)) for _ in range(rows)]
    columns = list(requests[0])
    statement = f"copy public.chat_telemetry_log ({', '.join(columns)}) from stdin"
    with database.connect() as connection, connection.cursor().copy(statement) as copy:
        for request in requests:
            copy.write_row(list(request.values()))


def random_request(
    rng: random.Random, users: list[uuid.UUID], conversations: list[uuid.UUID], as_of: dt.date, zone: ZoneInfo
) -> dict[str, Any]:
    """One row of the log, by column."""
    error = rng.choice(ERRORS) if rng.random() < 0.15 else None
    if rng.random() < 0.002:
        error = rng.choice(LONG_NAMES)[:LONGEST_ERROR]
    return {
        "log_id": uuid.UUID(int=rng.getrandbits(128)),
        "user_id": rng.choice(users),
        "conversation_id": rng.choice([*conversations, None]),
        "created_at": _created_at(rng, as_of, zone),
        "user_question": "How many?",
        "generated_sql": _query(rng),
        "result_row_count": _maybe(rng, rng.randrange(500)),
        "error_type": error,
        "failed_step": _name(rng, STEPS) if error or rng.random() < 0.02 else None,
        "is_off_topic": rng.random() < 0.1,
        "sql_model": _name(rng, MODELS),
        "response_model": _name(rng, MODELS),
        **{column: _maybe(rng, _duration(rng)) for column in DURATIONS},
        **{column: _maybe(rng, _tokens(rng)) for column in TOKENS},
    }


DURATIONS = ["nl_to_sql_duration_ms", "sql_execution_duration_ms", "response_generation_duration_ms", "ttfb_ms"]
TOKENS = [f"{call}_{kind}_tokens" for call in ("sql", "response") for kind in ("input", "output", "cached")]


def _name(rng: random.Random, names: list[str | None]) -> str | None:
    return rng.choice(LONG_NAMES) if rng.random() < 0.005 else rng.choice(names)


def _created_at(rng: random.Random, as_of: dt.date, zone: ZoneInfo) -> dt.datetime | str:
    if rng.random() < 0.01:
        return rng.choice(IMPOSSIBLE_TIMES)
    days_before = rng.choice([rng.randint(-3, 8), rng.randint(-1, 32), rng.choice([-400, 6, 7, 29, 30, 364, 400])])
    midnight = dt.datetime.combine(as_of - dt.timedelta(days=days_before), dt.time(), zone)
    if rng.random() < 0.2:
        return midnight.astimezone(dt.UTC) + rng.choice(OFFSETS)
    if rng.random() < 0.1:
        hours = [midnight.astimezone(dt.UTC) + dt.timedelta(hours=hour) for hour in range(24)]
        return rng.choice([*hours, *12 * clock_changes(as_of, zone)]) + rng.choice(OFFSETS)
    return midnight.astimezone(dt.UTC) + dt.timedelta(seconds=rng.random() * 86_400)


@functools.cache
def clock_changes(as_of: dt.date, zone: ZoneInfo) -> list[dt.datetime]:
    """The times at which the clocks of the zone changed in the 400 days before `as_of`."""
    end = dt.datetime.combine(as_of, dt.time(), dt.UTC)
    halves = [end - dt.timedelta(minutes=30 * place) for place in range(400 * 48)]
    return [
        now
        for now, before in itertools.pairwise(halves)
        if now.astimezone(zone).utcoffset() != before.astimezone(zone).utcoffset()
    ]


def _query(rng: random.Random) -> str | None:
    if rng.random() < 0.2:
        return rng.choice([None, None, "", " ", " \n\t "])
    number = rng.choice([rng.randrange(5), rng.randrange(3_000)])
    return rng.choice(["select {} from t", "SELECT  {}\nFROM t"]).format(number)


def _duration(rng: random.Random) -> int:
    return rng.choice([0, 1, -1, -rng.randrange(300), *2 * [rng.randrange(300), rng.randrange(60_000)], INT4_MAX])


def _tokens(rng: random.Random) -> int:
    return rng.choice([0, 1, -1, -rng.randrange(2_000), *2 * [rng.randrange(2_000), rng.randrange(200_000)], INT4_MAX])


def _maybe(rng: random.Random, value: int) -> int | None:
    return None if rng.random() < 0.25 else value
