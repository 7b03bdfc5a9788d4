"""The SQL of the panels: the text of bi/queries where it has what a panel shows, and series by day."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

COST_BY_DAY = """\
select day::timestamp as time, model as metric, sum(cost_usd) as cost_usd
from chat_reports.token_cost
where $__timeFilter(day) and cost_usd is not null
group by day, model
order by day, model"""
ERRORS_BY_DAY = """\
select day::timestamp as time, error_type as metric, sum(request_count)::bigint as request_count
from chat_reports.errors
where $__timeFilter(day) and error_type not in ('none', 'cancelled')
group by day, error_type
order by day, error_type"""
LATENCY_BY_DAY = """\
select period_start::timestamp as time, p50_ms, p95_ms, p99_ms
from chat_reports.latency
where period = 'day' and step = '{step}' and $__timeFilter(period_start)
order by period_start"""
OFF_TOPIC_BY_DAY = """\
select day::timestamp as time, off_topic_rate
from chat_reports.off_topic
where $__timeFilter(day)
order by day"""
FRESHNESS = "select * from chat_reports.report_freshness order by report"
OPEN_ALERTS = "select * from chat_reports.open_alerts order by began_at, alert, subject"
HEADLINE = """\
with

headlines as (
{text}
)

select {column}{change}
from headlines
order by first_day desc
limit 1"""
CHANGE = ", {column}::double precision / nullif(lead({column}) over (order by first_day desc), 0) - 1 as change"


@dataclass(frozen=True)
class Query:
    """What a panel asks, and the text beside its title."""

    sql: str
    description: str
    format: str = "table"


@dataclass(frozen=True)
class Queries:
    """The files of bi/queries in the clone `root`."""

    root: Path

    def rows(self, name: str, limit: int = 0) -> Query:
        """The query as it is, or its first rows. The comment at its top is the description."""
        text = self._text(name)
        lines = text.splitlines()
        top = next(number for number, line in enumerate(lines) if not line.startswith("--"))
        description = " ".join(line.removeprefix("-- ") for line in lines[:top])
        return Query(f"{text}\nlimit {limit}" if limit else text, description)

    def headline(self, column: str, *, change: bool = False) -> Query:
        """A column of headlines.sql for the last seven complete days, and its change from the seven before them."""
        added = CHANGE.format(column=column) if change else ""
        compared = ", compared with the seven days before them" if change else ""
        sql = HEADLINE.format(text=self._text("headlines"), column=column, change=added)
        return Query(sql, f"The last seven complete days{compared}.")

    def _text(self, name: str) -> str:
        text = (self.root / "bi" / "queries" / f"{name}.sql").read_text(encoding="utf-8")
        return text.strip().removesuffix(";")
