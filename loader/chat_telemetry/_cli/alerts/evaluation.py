"""Evaluates the alerts: the dbt tests with the tag `alert`, whose rows are the values over their bound."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, LiteralString, NamedTuple

import psycopg
from psycopg.rows import dict_row

from chat_telemetry._cli.dbt_runner import DbtProcess
from chat_telemetry._cli.errors import one_line, server_message
from chat_telemetry._cli.options import transaction

SELECT = ("--select", "tag:alert")
PREFIX = "alert_"
COLUMNS = {"subject", "value", "bound"}
TIME_LIMIT: LiteralString = "set local statement_timeout = '1min'; set transaction read only"


class Alert(NamedTuple):
    """An alert that is switched on."""

    name: str
    query: LiteralString


class Breach(NamedTuple):
    """A value over its bound."""

    alert: str
    subject: str
    """What is over the bound: a day, a month, a report. Empty if the alert has one value."""
    value: Decimal | None
    """None if there is nothing where something is expected."""
    bound: Decimal

    def __str__(self) -> str:
        value = "nothing to compare with" if self.value is None else f"{_plain(self.value)} is over"
        return f"{self.name}: {value} the bound {_plain(self.bound)}"

    @property
    def name(self) -> str:
        """The alert and the subject."""
        return one_line(f"{self.alert} {self.subject}".strip())

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        value = None if self.value is None else float(self.value)
        return {"alert": self.alert, "subject": self.subject, "value": value, "bound": float(self.bound)}


@dataclass
class Evaluation:
    """What the alerts found."""

    evaluated: list[str] = field(default_factory=list)
    """The names of the alerts that were evaluated."""
    breaches: list[Breach] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """Alerts that could not be evaluated, each with the reason."""

    @property
    def not_evaluated(self) -> str:
        """The failures as a message, empty if there are none."""
        return f"not evaluated: {'; '.join(self.failures)}" if self.failures else ""


def compile_alerts(dbt: DbtProcess) -> list[Alert]:
    """The alerts for which a variable sets a bound. Raises DbtFailed."""
    compiled = dbt.run("compile", *SELECT).compiled
    return [Alert(name.removeprefix(PREFIX), query) for name, query in compiled.items()]


def evaluate(connection: psycopg.Connection, alerts: Sequence[Alert]) -> Evaluation:
    """Run the query of each alert. One that fails does not stop the others. Raises psycopg.OperationalError."""
    evaluation = Evaluation()
    for alert in alerts:
        try:
            with transaction(connection, rolls_back=True):
                connection.execute(TIME_LIMIT)
                rows = connection.cursor(row_factory=dict_row).execute(alert.query).fetchall()
        except psycopg.Error as error:
            if connection.closed:
                raise
            evaluation.failures.append(f"{alert.name}: {server_message(error)}")
            continue
        try:
            evaluation.breaches += list(_breaches(alert.name, rows))
        except ArithmeticError:
            evaluation.failures.append(f"{alert.name}: its value and its bound must be numbers")
        else:
            evaluation.evaluated.append(alert.name)
    return evaluation


def _breaches(alert: str, rows: list[dict[str, Any]]) -> Iterator[Breach]:
    """A test of the user's own may have other columns. Then the number of its rows is the value."""
    if rows and not rows[0].keys() >= COLUMNS:
        yield Breach(alert, "", Decimal(len(rows)), Decimal(0))
        return
    for row in rows:
        value = None if row["value"] is None else Decimal(str(row["value"]))
        yield Breach(alert, str(row["subject"] or ""), value, Decimal(str(row["bound"])))


def _plain(number: Decimal) -> str:
    """With at most four decimals, without zeros at the end. A smaller number has two digits."""
    if not number.is_finite() or 0 < abs(number) < Decimal("0.0001"):
        return f"{number:.2g}"
    text = f"{number:.4f}" if number.as_tuple().exponent else f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
