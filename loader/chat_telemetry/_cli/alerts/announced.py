"""Which alerts began and ended since the last run, from chat_rollups.alerts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import LiteralString

import psycopg
from psycopg.rows import args_row

from chat_telemetry._cli.alerts.evaluation import Breach, Evaluation
from chat_telemetry._cli.options import NO_TIME_LIMITS, transaction

KNOWN: LiteralString = "select alert, subject, value, bound from chat_rollups.alerts order by began_at"
BEGIN: LiteralString = "insert into chat_rollups.alerts (alert, subject, value, bound) values (%s, %s, %s, %s)"
END: LiteralString = "delete from chat_rollups.alerts where alert = %s and subject = %s"


@dataclass(frozen=True)
class News:
    """What to announce."""

    began: list[Breach]
    ended: list[Breach]


@contextmanager
def news(connection: psycopg.Connection, evaluation: Evaluation) -> Iterator[News]:
    """What the last run did not announce. It counts as announced if the block ends without an exception.

    An alert that was switched off ends. One that could not be evaluated neither begins nor ends.
    """
    with transaction(connection):
        connection.execute(NO_TIME_LIMITS)  # a webhook may take longer than the login may be idle
        known = {b[:2]: b for b in connection.cursor(row_factory=args_row(Breach)).execute(KNOWN)}
        current = {b[:2]: b for b in evaluation.breaches}
        unknown = {failure.split(":")[0] for failure in evaluation.failures}
        began = [breach for key, breach in current.items() if key not in known]
        ended = [breach for key, breach in known.items() if key not in current and breach.alert not in unknown]
        for breach in began:
            connection.execute(BEGIN, breach)
        for breach in ended:
            connection.execute(END, breach[:2])
        yield News(began, ended)
