"""The page: the sections, the templates and the style sheet as one HTML file. The same rows make the same bytes."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from chat_telemetry._cli.bi import text
from chat_telemetry._cli.bi.days import Days
from chat_telemetry._cli.bi.reading import Reports
from chat_telemetry._cli.dashboard.comparisons import pairs, shapes, users
from chat_telemetry._cli.dashboard.costs import costs
from chat_telemetry._cli.dashboard.failures import failures
from chat_telemetry._cli.dashboard.series import Series
from chat_telemetry._cli.dashboard.speed import speed
from chat_telemetry._cli.dashboard.summary import summary
from chat_telemetry._cli.dashboard.trust import Trust, trust

FILTERS = ("count", "day", "moment", "ms", "rate", "short", "signed_usd", "usd", "visible")


def render(reports: Reports, omit: frozenset[str] = frozenset()) -> str:
    """The page, without the sections `users` and `sql` if they are in `omit`."""
    environment = _environment()
    css = files(__package__).joinpath("templates", "style.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    found = trust(reports)
    values = {"css": css, "digest": digest, "omit": omit, "trust": found, "comments": reports.comments}
    if reports.days is None:
        return environment.get_template("empty.html.j2").render(values)
    return environment.get_template("page.html.j2").render(values | _sections(reports, reports.days, found))


def _sections(reports: Reports, days: Days, found: Trust) -> dict[str, Any]:
    series = Series(days, {row.day: row.request_count for row in reports.requests})
    cost, durations, failed = costs(reports, series), speed(reports, series), failures(reports, series)
    return {
        "days": days,
        "tones": series.tones,
        "summary": summary(days, cost, durations, failed, found),
        "week": reports.headlines["last_7_complete_days"],
        "previous": reports.headlines["previous_7_complete_days"],
        "last_7_days": (days.last - timedelta(days=6), days.last),
        "costs": cost,
        "speed": durations,
        "failures": failed,
        "pairs": pairs(reports),
        "users": users(reports),
        "shapes": shapes(reports),
    }


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("chat_telemetry._cli.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {name: getattr(text, name) for name in FILTERS}
    environment.filters["breakable"] = _breakable
    environment.globals |= {"span": text.span, "some": text.some, "change": text.change, "slower": text.slower}
    return environment


def _breakable(name: str) -> Markup:
    """A name that may continue on the next line after an underscore."""
    return Markup("_<wbr>").join(escape(part) for part in name.split("_"))
