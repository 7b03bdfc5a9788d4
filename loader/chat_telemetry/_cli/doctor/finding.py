"""What a check of `doctor` finds, and the checks that are one query."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import LiteralString, NamedTuple

import psycopg

from chat_telemetry._cli.options import transaction


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    NOTE = "note"
    """Not wrong, and somebody should know it."""
    FAULT = "fault"
    UNKNOWN = "unknown"
    """The check could not be made."""


class Finding(NamedTuple):
    """One line of the output."""

    check: str
    level: Level
    text: str
    fix: str = ""


Found = tuple[Level, str, str]
Check = Callable[[psycopg.Connection], Iterator[Found]]


@dataclass(frozen=True)
class SqlCheck:
    """A check that is a query: its rows are a level, a text and a fix."""

    ok: str
    """What is right if the query has no row."""
    query: LiteralString

    def __call__(self, connection: psycopg.Connection) -> Iterator[Found]:
        with transaction(connection, rolls_back=True):
            rows = connection.execute(self.query).fetchall()
        for level, text, fix in rows:
            yield Level(level), text, fix
        if not rows:
            yield Level.OK, self.ok, ""
