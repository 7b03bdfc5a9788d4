"""Durations of the command line: 30s, 1m, 2h, 400d."""

from __future__ import annotations

import re
from datetime import timedelta

import typer

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def duration(text: str) -> timedelta:
    """Raises BadParameter if the text is not a number above zero with a unit."""
    found = re.fullmatch(r"(\d{1,6})([smhd])", text.strip(), re.ASCII)
    if not found or not int(found[1]):
        raise typer.BadParameter("expected a number and a unit, for example 30s, 5m, 2h or 400d")
    return timedelta(**{UNITS[found[2]]: int(found[1])})
