"""Sentences that answer the questions before anybody has to read a chart."""

from __future__ import annotations

from decimal import Decimal

from chat_telemetry._cli.bi import text
from chat_telemetry._cli.bi.days import Days
from chat_telemetry._cli.bi.rows import Headline, ModelCost
from chat_telemetry._cli.dashboard.costs import Costs
from chat_telemetry._cli.dashboard.failures import Failures
from chat_telemetry._cli.dashboard.speed import Speed
from chat_telemetry._cli.dashboard.trust import Trust

# A smaller change of one model, as a share of the cost of the week before, is not worth a sentence.
NOTABLE = Decimal("0.02")


def summary(days: Days, costs: Costs, speed: Speed, failures: Failures, trust: Trust) -> list[str]:
    """The first sentence is the most important one."""
    if not costs.week.request_count:
        newest = trust.newest_request_at
        return [
            f"No chat requests from {text.span(*days.week)}."
            + (f" The newest one was made on {text.day(newest.date())}." if newest else "")
        ]
    sentences = [_cost(days, costs), _durations(speed), _failures(failures), _unpriced(costs.week)]
    return [sentence for sentence in sentences if sentence]


def _cost(days: Days, costs: Costs) -> str:
    if costs.week.cost_usd is None:
        return "What the models cost is not known: none of their calls has a price."
    parts = [f"The models cost {text.usd(costs.week.cost_usd)}"]
    if days.has_previous:
        parts[0] += f", {costs.change}"
    first = next((model for model, _ in costs.models if model.cost_usd), None)
    if first is not None:
        parts.append(f"{text.short(first.model)} is {text.rate(first.share_of_cost, 0)} of it")
        parts += _largest_change(days, costs, first)
    return "; ".join(parts) + "."


def _largest_change(days: Days, costs: Costs, first: ModelCost) -> list[str]:
    """Also of a model that is no longer called."""
    before = costs.previous.cost_usd
    largest = max((model for model, _ in costs.models), key=_change)
    if not days.has_previous or not before or _change(largest) < before * NOTABLE:
        return []
    name = "it also" if largest is first else text.short(largest.model)
    return [f"{name} changed most ({text.signed_usd(largest.change_usd, costs.places)})"]


def _change(model: ModelCost) -> Decimal:
    return abs(model.change_usd or Decimal(0))


def _durations(speed: Speed) -> str:
    slowest = speed.slowest
    if slowest is None or slowest.week is None:
        return ""
    name = slowest.name[0].lower() + slowest.name[1:]
    sentence = f"he slowest step is {name} (95{text.THIN}% within {text.ms(slowest.week.p95_ms)})."
    first = speed.first_byte
    if first is None:
        return "T" + sentence
    within = f"{text.ms(first.p50_ms)} and 95{text.THIN}% within {text.ms(first.p95_ms)}"
    return f"Half of the responses began within {within}; t{sentence}"


def _failures(failures: Failures) -> str:
    week = failures.week
    if not week.error_count:
        return f"None of {text.some(week.request_count, 'request', 'requests')} failed."
    kind = failures.types[0][0]
    return (
        f"{text.count(week.error_count)} of {text.some(week.request_count, 'request', 'requests')} failed"
        f" ({text.rate(week.error_rate)}), most often with {text.short(kind.error_type)}"
        f" at the step {text.short(kind.failed_step)}."
    )


def _unpriced(week: Headline) -> str:
    if not week.unpriced_call_count or week.cost_usd is None:
        return ""
    return text.some(week.unpriced_call_count, "call has no price and is", "calls have no price and are") + (
        " missing from the cost."
    )
