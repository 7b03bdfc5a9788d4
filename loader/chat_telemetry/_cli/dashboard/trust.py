"""How fresh and how complete the numbers are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from chat_telemetry._cli.alerts.evaluation import Breach
from chat_telemetry._cli.bi import text
from chat_telemetry._cli.bi.reading import Reports
from chat_telemetry._cli.bi.rows import Freshness, OpenAlert, UnpricedModel

QUIET = timedelta(hours=24)
LATE = timedelta(hours=1)
GUESSES = {"alias": "by an alias", "prefix": "without its prefix", "undated": "without its date"}
DAYS = 30


@dataclass(frozen=True)
class Trust:
    """What limits the numbers of the page."""

    refreshed_at: datetime
    """Of the report that was refreshed first."""
    newest_request_at: datetime | None
    time_zone: str
    pending_changes: int
    reports: list[Freshness]
    late: list[str]
    """Reports that were refreshed long before the others, or count another last day."""
    is_quiet: bool
    """Whether there was no chat request for a day before the last run."""
    alerts: list[str]
    calls: int
    """Model calls of the last 30 days."""
    unpriced_calls: int
    bounded_calls: int
    unpriced: list[UnpricedModel]
    guessed: list[tuple[str, str]]
    """Names of models that have the price of another name, and how it was found."""
    future_requests: int
    left_out: int

    @property
    def share_unpriced(self) -> float:
        """Of the model calls of the last 30 days."""
        return self.unpriced_calls / self.calls if self.calls else 0


def trust(reports: Reports) -> Trust:
    """The freshness of the reports, alerts, and what has no price."""
    freshness = reports.freshness
    newest = max(row.refreshed_at for row in freshness)
    newest_request = max((row.newest_request_at for row in freshness if row.newest_request_at), default=None)
    last = max(row.as_of for row in freshness)
    days = [row for row in reports.requests if reports.days and row.day > reports.days.last - timedelta(days=DAYS)]
    guessed = {(row.model, row.price_match) for row in reports.calls if row.price_match in GUESSES}
    return Trust(
        refreshed_at=min(row.refreshed_at for row in freshness),
        newest_request_at=newest_request,
        time_zone=freshness[0].report_timezone,
        pending_changes=max(row.pending_changes for row in freshness),
        reports=freshness,
        late=[row.report for row in freshness if row.as_of < last or row.refreshed_at < newest - LATE],
        is_quiet=newest_request is not None and newest - newest_request > QUIET,
        alerts=[_alert(alert) for alert in reports.alerts],
        calls=sum(row.call_count for row in days),
        unpriced_calls=sum(row.unpriced_call_count for row in days),
        bounded_calls=sum(row.bounded_call_count for row in days),
        unpriced=reports.unpriced,
        guessed=[(model, GUESSES[match]) for model, match in sorted(guessed)],
        future_requests=max(row.future_request_count for row in freshness),
        left_out=max(row.left_out_count for row in freshness),
    )


def _alert(alert: OpenAlert) -> str:
    """In the words of `chat-telemetry check`."""
    breach = Breach(alert.alert, alert.subject, alert.value, alert.bound)
    return text.visible(f"{breach}, since {text.moment(alert.began_at)}")
