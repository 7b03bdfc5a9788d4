"""The models that were logged, each with the price that the reports apply to it today."""

from __future__ import annotations

import datetime as dt
import re
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import LiteralString

import psycopg
from psycopg.rows import class_row

UNCONFIRMED_DAYS = 90
LIST_DATE = re.compile(r"\d{4}-\d\d-\d\d$", re.ASCII)

# "Today" is the last day that the reports count. The reports have every day, so the first one without a price is exact.
LOGGED_MODELS: LiteralString = """
with last_day as (
    select as_of from chat_rollups.progress
    where name = 'drained_changes' and as_of is not null
),

logged as (
    select
        model,
        sum(call_count) filter (where day > as_of - %(days)s)::bigint as call_count,
        sum(unpriced_call_count) filter (where day > as_of - %(days)s)::bigint as unpriced_call_count,
        min(day) filter (where unpriced_call_count > 0) as unpriced_since
    from chat_reports.token_cost
    cross join last_day
    group by model
    having bool_or(day > as_of - %(days)s)
)

select
    logged.model,
    coalesce(label.name, logged.model) as name,
    logged.call_count,
    logged.unpriced_call_count,
    logged.unpriced_since,
    coalesce(price.price_match, 'unpriced') as price_match,
    price.price_model,
    price.input_usd_per_mtok,
    price.cached_input_usd_per_mtok,
    price.output_usd_per_mtok,
    price.valid_from,
    price.source,
    own.confirmed_on as set_on,
    (pg_catalog.now() at time zone 'UTC')::date as today,
    (select min(valid_from) from chat_rollups.own_prices where model = label.name) as own_price_since
from logged
cross join last_day
left join lateral (
    -- Calls without a name are shown as unknown, together with those of a model that has this name.
    select id, case when label = '' then 'unknown' else name end as name
    from chat_rollups.labels
    where label = logged.model or (label = '' and logged.model = 'unknown')
    order by id desc
    limit 1
) as label on true
left join chat_rollups.price_periods as price
    on label.id = price.model and price.valid_from <= last_day.as_of and last_day.as_of < price.valid_until
left join chat_rollups.own_prices as own
    on price.price_model = own.model and price.valid_from = own.valid_from and price.source = own.source
"""


class State(StrEnum):
    """What there is to do about the price of a model: something, from the first to the last; nothing if current."""

    UNPRICED = "unpriced"
    """Some of its calls have no price."""
    SET = "set"
    """The same, but there is an own price for all of them, which the next dbt run applies."""
    OLD = "old"
    """Its price was last confirmed more than 90 days ago."""
    CURRENT = "current"


@dataclass(frozen=True)
class LoggedModel:
    """A model, its calls in the last days, and its price today, in US dollars per million tokens."""

    model: str
    """The name as logged."""
    name: str
    """The same without blanks at its ends."""
    call_count: int
    unpriced_call_count: int
    unpriced_since: dt.date | None
    """The first day with a call without a price, of all days."""
    price_match: str
    price_model: str | None
    """The name of the price that was found, which for an alias is not the name as logged."""
    input_usd_per_mtok: Decimal | None
    cached_input_usd_per_mtok: Decimal | None
    output_usd_per_mtok: Decimal | None
    valid_from: dt.date | None
    source: str | None
    set_on: dt.date | None
    """The day on which the price was last set in own_prices."""
    today: dt.date
    own_price_since: dt.date | None
    """The first day of the own prices of this name. The reports may not have them yet."""

    @property
    def is_listed(self) -> bool:
        """Whether the price is one of the price list."""
        return self.set_on is None and self.source is not None and self.source.startswith("genai-prices ")

    @property
    def confirmed_on(self) -> dt.date | None:
        """The day on which it was set, the date of the price list, or the first day of an own price in the seed."""
        if not self.is_listed:
            return self.set_on or self.valid_from
        found = LIST_DATE.search(self.source or "")
        with suppress(ValueError):
            return dt.date.fromisoformat(found[0]) if found else None
        return None

    @property
    def state(self) -> State:
        """What there is to do."""
        if self.unpriced_call_count and self.unpriced_since:
            is_set = self.own_price_since is not None and self.own_price_since <= self.unpriced_since
            return State.SET if is_set else State.UNPRICED
        age = self.today - (self.confirmed_on or self.today)
        return State.OLD if age.days > UNCONFIRMED_DAYS else State.CURRENT


def logged_models(connection: psycopg.Connection, days: int) -> list[LoggedModel]:
    """The models of the calls of the last `days` days: first those with something to do, then by calls."""
    with connection.cursor(row_factory=class_row(LoggedModel)) as cursor:
        models = cursor.execute(LOGGED_MODELS, {"days": days}).fetchall()
    states = list(State)
    return sorted(models, key=lambda m: (states.index(m.state), -m.unpriced_call_count, -m.call_count, m.model))
