"""Generates the chat requests of an imaginary shop for the demo: varied, plausible and repeatable.

Each day is divided into slots of one request. The id and the contents of a request are computed from its day and slot,
so that a later call repeats the earlier requests and adds those of the new slots.
"""

from __future__ import annotations

import random
import tomllib
from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from importlib.resources import files
from itertools import accumulate
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from chat_telemetry._record import TelemetryRecord

NAMESPACE = UUID("3d7f0c52-9b1e-5f64-8a5d-1f6f0d2c7b11")
USER_COUNT = 140
USER_WEIGHTS = [1 / (rank + 1) ** 0.8 for rank in range(USER_COUNT)]  # a few users ask most of the questions
DAYS = 30
# The weight of each hour (UTC) in the requests of a day: office hours with a dip at noon.
HOURS = (1, 1, 1, 1, 1, 2, 4, 9, 15, 19, 20, 18, 12, 15, 19, 19, 17, 12, 8, 6, 5, 4, 2, 1)
WEEKEND_SHARE = 0.35
SWITCH_DAY = 15


class Model(NamedTuple):
    """A model: the name that its provider reports, and its milliseconds per output token."""

    name: str
    ms_per_token: float


GPT_4O_MINI = Model("gpt-4o-mini-2024-07-18", 11)
GPT_41_MINI = Model("gpt-4.1-mini-2025-04-14", 8)
GPT_4O = Model("gpt-4o-2024-08-06", 15)
CLAUDE = Model("claude-sonnet-4-20250514", 17)
HAIKU = Model("anthropic/claude-3-5-haiku-latest", 10)  # priced by an alias
GEMINI = Model("gemini-2.5-flash", 6)
IN_HOUSE = Model("in-house-sql-7b", 24)  # in no price list

# sql model, response model, weight. The first pair is replaced on the 15th of every month.
PAIRS = (
    (GPT_4O_MINI, GPT_4O_MINI, 55),
    (GPT_4O, GPT_4O_MINI, 18),
    (CLAUDE, HAIKU, 13),
    (GEMINI, GEMINI, 10),
    (IN_HOUSE, GPT_4O_MINI, 4),
)


class Failure(NamedTuple):
    """A kind of failure: the values in the log, and its probability."""

    error_type: str
    failed_step: str | None
    message: str
    probability: float


FAILURES = (
    Failure("sql_generation", "understanding", "upstream model timed out after 30 s", 0.008),
    Failure("sql_validation", "understanding", "only SELECT statements are allowed", 0.010),
    Failure("sql_execution", "looking_up", "canceling statement due to statement timeout", 0.014),
    Failure("response_generation", "response", "stream closed before completion", 0.007),
    Failure("unexpected", None, "KeyError: 'choices'", 0.004),
)
OFF_TOPIC_PROBABILITY = 0.06
MODEL_TIMEOUT_MS = 30_000
STATEMENT_TIMEOUT_MS = 15_000


def generate(count: int, until: datetime) -> Iterator[TelemetryRecord]:
    """About `count` chat requests of the 30 days before `until`, oldest first."""
    since = until - timedelta(days=DAYS)
    for back in range(DAYS, -1, -1):
        day = (until.astimezone(UTC) - timedelta(days=back)).date()
        slots = _slots(day, count / DAYS)
        for slot in range(slots):
            moment = _moment(day, slot, slots)
            if since < moment <= until:
                yield _request(day, slot, moment)


def _slots(day: date, per_day: float) -> int:
    """How many requests `day` has: fewer at the weekend, `per_day` on an average of the week."""
    on_a_workday = per_day * 7 / (5 + 2 * WEEKEND_SHARE)
    return max(1, round(on_a_workday * (WEEKEND_SHARE if day.weekday() >= 5 else 1)))


def _moment(day: date, slot: int, slots: int) -> datetime:
    """The time of the request in slot number `slot`. A busier hour has more slots."""
    busy_until = list(accumulate(HOURS))
    place = (slot + random.Random(f"{day}-{slot}-moment").random()) / slots * busy_until[-1]  # noqa: S311
    hour = bisect_right(busy_until, place)
    within = 1 - (busy_until[hour] - place) / HOURS[hour]
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC) + timedelta(hours=within)


def _request(day: date, slot: int, moment: datetime) -> TelemetryRecord:
    dice = random.Random(f"{day}-{slot}")  # noqa: S311
    user = uuid5(NAMESPACE, f"user-{dice.choices(range(USER_COUNT), USER_WEIGHTS)[0]}")
    sql_model, response_model = _models(day, dice)
    record = TelemetryRecord(
        log_id=uuid5(NAMESPACE, f"request-{day}-{slot}"),
        user_id=user,
        conversation_id=uuid5(NAMESPACE, f"conversation-{user}-{day}"),
        created_at=moment,
        user_question="",
        is_off_topic=dice.random() < OFF_TOPIC_PROBABILITY,
        sql_model=sql_model.name,
    )
    rows = _ask(record, dice)
    failure = None if record.is_off_topic else _failure(dice)
    if failure:
        record.error_type, record.failed_step, record.error_message, _ = failure
    _understand(record, sql_model, dice)
    if record.generated_sql and record.error_type != "sql_validation":
        _look_up(record, rows, dice)
    if record.error_type in (None, "response_generation"):
        _respond(record, response_model, dice)
    return record


def _models(day: date, dice: random.Random) -> tuple[Model, Model]:
    sql_model, response_model, _ = dice.choices(PAIRS, [weight for _, _, weight in PAIRS])[0]
    # Even and odd alternate on the 15th of each month.
    switches = day.year * 12 + day.month + (day.day >= SWITCH_DAY)
    if sql_model is response_model is GPT_4O_MINI and switches % 2:
        return GPT_41_MINI, GPT_41_MINI
    return sql_model, response_model


def _failure(dice: random.Random) -> Failure | None:
    weights = [failure.probability for failure in FAILURES]
    return dice.choices([*FAILURES, None], [*weights, 1 - sum(weights)])[0]


def _ask(record: TelemetryRecord, dice: random.Random) -> int:
    """Set the question and its SQL. Returns how many rows the SQL finds."""
    if record.is_off_topic:
        record.user_question = dice.choice(_script()["off_topic"])
        return 0
    template = dice.choice(_script()["question"])
    values = {name: dice.choice(choices) for name, choices in _script()["values"].items()}
    record.user_question = template["text"].format(**values)
    sql = template["sql"].format(**values)
    # Models vary case and line breaks, which the fingerprint ignores.
    record.generated_sql = dice.choice([sql, sql, sql, sql.lower(), sql.replace(" FROM ", "\nFROM ", 1)])
    return 1 if template["rows"] == 1 else dice.randint(0, template["rows"])


def _understand(record: TelemetryRecord, model: Model, dice: random.Random) -> None:
    """The model call that writes the SQL, or finds the question off-topic."""
    if record.error_type == "unexpected":
        record.generated_sql = None
        return
    if record.error_type == "sql_generation":
        record.generated_sql, record.nl_to_sql_duration_ms = None, MODEL_TIMEOUT_MS
        return
    written = len(record.generated_sql or "off-topic") // 4 + dice.randint(8, 24)
    record.sql_input_tokens = dice.randint(1900, 3600)
    record.sql_output_tokens = written
    record.sql_cached_tokens = _cached(record.sql_input_tokens, dice)
    record.nl_to_sql_duration_ms = _milliseconds(260 + written * model.ms_per_token, 0.35, dice)


def _look_up(record: TelemetryRecord, rows: int, dice: random.Random) -> None:
    """The SQL runs, at most until the statement timeout."""
    if record.error_type == "sql_execution":
        record.sql_execution_duration_ms = STATEMENT_TIMEOUT_MS + dice.randint(0, 40)
        return
    record.sql_execution_duration_ms = min(_milliseconds(30, 1.1, dice), STATEMENT_TIMEOUT_MS)
    record.result_row_count = rows


def _respond(record: TelemetryRecord, model: Model, dice: random.Random) -> None:
    """The model call that writes the response. An interrupted one has a first byte, but neither duration nor tokens."""
    record.response_model = model.name
    first_byte = _milliseconds(180 + 12 * model.ms_per_token, 0.4, dice)
    before = (record.nl_to_sql_duration_ms or 0) + (record.sql_execution_duration_ms or 0)
    record.ttfb_ms = before + first_byte
    if record.error_type:
        return
    written = max(12, round(dice.lognormvariate(4.4, 0.5)))
    record.response_id = f"resp_{dice.getrandbits(96):024x}"
    record.ai_response = f"Here is what I found for: {record.user_question}"
    record.follow_up_suggestions = ["Compare with the month before", "Break it down by region"]
    record.response_input_tokens = dice.randint(400, 900) + 18 * min(record.result_row_count or 0, 60)
    record.response_output_tokens = written
    record.response_cached_tokens = _cached(record.response_input_tokens, dice)
    record.response_generation_duration_ms = first_byte + _milliseconds(written * model.ms_per_token, 0.25, dice)


def _cached(input_tokens: int, dice: random.Random) -> int:
    """Providers cache prompts of 1,024 tokens and more, in steps of 128."""
    if input_tokens < 1024 or dice.random() < 0.4:
        return 0
    return int(input_tokens * dice.uniform(0.4, 0.9)) // 128 * 128


def _milliseconds(median: float, spread: float, dice: random.Random) -> int:
    return max(1, round(median * dice.lognormvariate(0, spread)))


@cache
def _script() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("questions.toml").read_text(encoding="utf-8"))
