"""Each name finds its price in the reports by the five steps of docs/reports.md, and no name finds one by guess."""

from __future__ import annotations

import pytest

from tests.conftest import SERVERS
from tests.dbt_project import DbtProject
from tests.reports.scenes import assert_exact
from tests.tools.prices.matching import MAKER_OF_PREFIX, aliases, find, providers
from tests.tools.prices.test_names import NEVER, PRICED, TODAY

pytestmark = pytest.mark.parametrize("postgres", SERVERS[-1:], indirect=True, scope="session")

INSERT = """
with person as (insert into auth.users default values returning id)

insert into public.chat_telemetry_log (user_id, user_question, created_at, sql_model, sql_input_tokens)
select person.id, '', '2026-11-29 12:00:00+00', names.name, 1000000
from person
cross join unnest(%s::text[]) as names (name)
"""
FOUND = """
select labels.label, token_cost.price_match, price_periods.price_model, token_cost.cost_usd is null
from chat_reports.token_cost
inner join chat_rollups.labels on token_cost.model = labels.label
left join chat_rollups.price_periods
    on
        labels.id = price_periods.model
        and token_cost.day >= price_periods.valid_from
        and token_cost.day < price_periods.valid_until
"""
# A maker's prefix, or another maker's, before every name of the price list; and a date after it.
LISTED = [*providers(), *aliases()]
MADE = [
    *LISTED,
    *(prefix + name for name in LISTED if "/" not in name for prefix in MAKER_OF_PREFIX),
    *(f"{name}-20991231" for name in LISTED),
    *(f"anthropic/{name}@20991231" for name in LISTED),
    *(f"{name}-tuned" for name in LISTED),
]


def test_each_name_finds_the_price_of_its_step_and_no_name_finds_one_by_guess(project: DbtProject) -> None:
    in_logs = [name for names in PRICED.values() for name in names.split()] + NEVER.split()
    blank = [f"\t{name} \n" for name in in_logs]
    names = sorted({*in_logs, *blank, *MADE})
    assert len(names) > 5_000
    with project.database.connect() as connection:
        connection.execute(INSERT, [names])
    project.run("run", report_as_of=str(TODAY))
    with project.database.connect() as connection:
        found = {name: tuple(rest) for name, *rest in connection.execute(FOUND).fetchall()}
    expected = {name: (*match, False) if (match := find(name)) else ("unpriced", None, True) for name in names}
    assert {name: (found[name], expected[name]) for name in names if found[name] != expected[name]} == {}
    assert_exact(project, str(TODAY))
