"""Reports as the dashboard reads them: a usual log, an empty one, and those that are hard to show."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from chat_telemetry._cli.bi import rows
from chat_telemetry._cli.bi.days import Days
from chat_telemetry._cli.bi.reading import Reports

AS_OF = date(2026, 11, 25)
REFRESHED_AT = datetime(2026, 11, 25, 1, 58)  # the page gets local times
REPORTS = ("errors", "latency", "model_comparison", "off_topic", "sql_patterns", "token_cost", "user_usage")
STEPS = ("ttfb", "nl_to_sql", "sql_execution", "response_generation")
MODELS = ("gpt-4o-2024-08-06", "gpt-4o-mini-2024-07-18", "claude-sonnet-4-20250514")
HOSTILE = (
    "<script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    '"><b onmouseover="alert(1)">',
    "'--><svg onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "</title></pre></details><h1>",
    "&lt;b&gt; &amp;amp;",
    "\u202egnp.exe\u202c\u200b\x1b[31m\x00",
    "m" * 210,
    "",
    "  \n ",
    "名前 🧑‍🚀 نموذج",
    "https://example.com/?a=1&b=2",
    "javascript:alert(1)",
)


def usual(
    day_count: int = 40, *, models: Sequence[str] = MODELS, name: Callable[[str], str] = str, seed: int = 1
) -> Reports:
    """A log of `day_count` days, the last of which is not over. `name` changes each text of others."""
    dice = random.Random(seed)  # noqa: S311
    days = [AS_OF - timedelta(days=back) for back in range(day_count - 1, -1, -1)]
    freshness = [rows.Freshness(name, REFRESHED_AT, AS_OF, "UTC", REFRESHED_AT, 0, 0, 0) for name in REPORTS]
    requests = [_request_day(day, dice) for day in days]
    kinds = [("sql_execution", "looking_up"), ("unexpected", "unknown")]
    shown = [model if name is str else name(model) for model in models]
    return Reports(
        Days.of(freshness, days[0], 30),
        freshness,
        alerts=[],
        comments={"token_cost.cost_usd": "US dollars, which may be summed.", "latency.p95_ms": name("Not summed.")},
        headlines={
            "last_7_complete_days": _headline("last_7_complete_days", dice),
            "previous_7_complete_days": _headline("previous_7_complete_days", dice),
        },
        requests=requests[-30:],
        months=_months(days, dice),
        models=[_model(model, place, dice) for place, model in enumerate(shown)],
        calls=[
            rows.CallDay(day, step, model, _usd(dice), "undated" if model == shown[0] else "exact")
            for day in days[-30:]
            for step in ("response_generation", "sql_generation")
            for model in shown
        ],
        unpriced=[rows.UnpricedModel(name("in-house-7b"), 81, AS_OF)],
        steps=[_step(step, dice) for step in STEPS],
        latency=[
            rows.LatencyDay(day, step, *sorted(dice.uniform(20, 4000) for _ in range(3)))
            for day in days[-30:]
            for step in STEPS
        ],
        error_types=[rows.ErrorType(name(kind), name(step), 12, 0.0123, 9) for kind, step in kinds],
        errors=[
            rows.ErrorDay(day, name(kind), name(step), dice.randint(1, 9))
            for day in days[-30:]
            for kind, step in kinds
            if dice.random() < 0.7
        ],
        users=[_user(place, dice) for place in range(15)],
        user_count=140,
        shapes=[_shape(name("select a from t where b = ?"), name("select a from t where b = 'x' -- c"), 1)],
        pairs=[_pair(shown[0], shown[-1], dice), _pair(shown[-1], shown[-1], dice), _pair("none", "none", dice)],
    )


def empty() -> Reports:
    """Reports that were built on an empty log."""
    built = usual()
    return Reports(None, built.freshness, [])


def one_day() -> Reports:
    """The log begins today."""
    built = usual(1)
    nothing = _headline("last_7_complete_days", random.Random(1), requests=0)  # noqa: S311
    return replace(
        built,
        headlines={"last_7_complete_days": nothing, "previous_7_complete_days": nothing},
        steps=[],
        error_types=[],
        models=[],
    )


def three_years() -> Reports:
    """A long log with many models, a long SQL and many users."""
    long = "select " + " + ".join(f"column_{n}" for n in range(200))
    built = usual(1096, models=[f"provider/model-{n}-2026-01-01" for n in range(20)])
    return replace(
        built,
        user_count=20_000,
        shapes=[_shape(long[:300], long[:2_000], place, length=500_000) for place in range(1, 17)],
    )


def hostile() -> Reports:
    """Every text of others is one of HOSTILE."""
    texts = iter(range(10_000))
    built = usual(models=HOSTILE[:10], name=lambda text: HOSTILE[next(texts) % len(HOSTILE)])
    shapes = [_shape(text, f"select '{text}' -- {text}", place) for place, text in enumerate(HOSTILE, 1)]
    alerts = [rows.OpenAlert(text, text, Decimal("1.5"), Decimal(1), REFRESHED_AT) for text in HOSTILE[:3]]
    return replace(built, shapes=shapes, alerts=alerts)


def stale() -> Reports:
    """No request for a week, a report that was not refreshed, impossible values, changes that wait."""
    built = usual()
    old = REFRESHED_AT - timedelta(days=8)
    late = rows.Freshness("errors", old, AS_OF - timedelta(days=8), "UTC", old, 1_500, 2, 3)
    others = [
        rows.Freshness(row.report, row.refreshed_at, row.as_of, "UTC", old, 1_500, 2, 3) for row in built.freshness[1:]
    ]
    days = [row for row in built.requests if row.day < old.date()]
    for row in days:
        row.bounded_call_count = 3
    return replace(built, freshness=[late, *others], requests=days)


def unpriced() -> Reports:
    """No model has a price."""
    built = usual()
    for headline in built.headlines.values():
        headline.cost_usd = headline.cost_per_1000_requests_usd = None
        headline.unpriced_call_count = headline.call_count
    for model in built.models:
        model.cost_usd = model.share_of_cost = model.previous_cost_usd = model.change_usd = None
    priced: list[rows.RequestDay | rows.CallDay | rows.Month | rows.TopUser] = []
    for row in [*priced, *built.requests, *built.calls, *built.months, *built.users]:
        row.cost_usd = None
    for day in built.requests:
        day.unpriced_call_count = day.call_count
    for pair in built.pairs:
        pair.cost_per_request_usd = None
    for month in built.months:
        month.forecast_usd = None
    return built


SCENES = {scene.__name__: scene for scene in (usual, empty, one_day, three_years, hostile, stale, unpriced)}


def _usd(dice: random.Random) -> Decimal:
    return Decimal(dice.randint(1, 40_000)) / 10_000


def _request_day(day: date, dice: random.Random) -> rows.RequestDay:
    count = dice.randint(50, 300) if day < AS_OF else 3
    failed, off_topic = dice.randint(0, 3), dice.randint(0, 3)
    return rows.RequestDay(
        day, count, failed, failed / count, off_topic, off_topic / count, 2 * count, _usd(dice), dice.randint(0, 3), 0
    )


def _headline(period: str, dice: random.Random, requests: int | None = None) -> rows.Headline:
    count = dice.randint(1_000, 3_000) if requests is None else requests
    return rows.Headline(
        period,
        count,
        _usd(dice) if count else Decimal(0),
        _usd(dice) if count else None,
        Decimal("1.43") if count else Decimal(0),
        2 * count,
        81 if count else 0,
        0,
        65 if count else 0,
        65 / count if count else None,
        121 if count else 0,
        121 / count if count else None,
        1_250.0 if count else None,
        2_276.1 if count else None,
    )


def _model(model: str, place: int, dice: random.Random) -> rows.ModelCost:
    cost, before = _usd(dice) / (place + 1), _usd(dice)
    return rows.ModelCost(model, 390, cost, Decimal("0.46"), before, cost - before, 9_000, 3_000, 0)


def _months(days: list[date], dice: random.Random) -> list[rows.Month]:
    firsts = sorted({day.replace(day=1) for day in days}, reverse=True)
    forecast = Decimal("30.5")
    return [
        rows.Month(first, 9_000, _usd(dice) * 10, 3, forecast if first == AS_OF.replace(day=1) else None)
        for first in firsts
    ]


def _step(step: str, dice: random.Random) -> rows.StepLatency:
    p50, p95, p99, longest = sorted(dice.uniform(20, 5000) for _ in range(4))
    return rows.StepLatency(step, 1_680, p50, p95, p99, round(longest), p50 * 0.9, p95 * 1.1)


def _user(place: int, dice: random.Random) -> rows.TopUser:
    user = str(uuid.UUID(int=dice.getrandbits(128)))
    return rows.TopUser(user, 500 - place, 20, 3, 2, _usd(dice) / (place + 1), Decimal("0.05"), place % 2, AS_OF)


def _shape(shape: str, example: str, place: int, length: int | None = None) -> rows.SqlShape:
    return rows.SqlShape(
        shape, example, length or len(example), 90 - place, place % 4, 12.5 * place, 40.2, place, place, place, 200, 985
    )


def _pair(sql_model: str, response_model: str, dice: random.Random) -> rows.ModelPair:
    return rows.ModelPair(
        sql_model, response_model, 600, 12, dice.uniform(900, 3000), _usd(dice) / 1000, 0, 27, dice.uniform(0.01, 0.08)
    )
