"""Whatever happens to the log and to dbt, the seven reports equal direct SQL as soon as one run has gone through."""

from __future__ import annotations

import os
import time

import pytest

from tests.dbt_project import DbtProject
from tests.reports.history.driver import History, choose_seed
from tests.reports.history.events import BEGINNINGS, EVENTS, Event

MINUTES = float(os.environ.get("CHAT_TELEMETRY_HISTORY_MINUTES", "20"))
VERSIONS = 2


@pytest.mark.timeout(900)
def test_the_reports_are_right_after_a_short_history(project: DbtProject) -> None:
    """Two servers share the events: what does not happen to PostgreSQL 16 happens to 18."""
    with project.database.connect() as connection:
        half = connection.info.server_version // 20_000 % VERSIONS
    with History(project, choose_seed()) as history:
        begin(history)
        events = EVENTS[half::VERSIONS]
        history.rng.shuffle(events)
        for place, event in enumerate(events, 1):
            play(history, event)
            if place % 2 == 0 or place == len(events):
                history.settle()
        assert history.writer.refused < history.writer.steps / 2


@pytest.mark.history
@pytest.mark.timeout(MINUTES * 60 + 600)
def test_the_reports_are_right_after_a_long_history(project: DbtProject) -> None:
    deadline = time.monotonic() + MINUTES * 60 / VERSIONS
    with History(project, choose_seed()) as history:
        begin(history)
        while time.monotonic() < deadline:
            for event in history.rng.choices(EVENTS, k=history.rng.randint(1, 4)):
                play(history, event)
            history.settle()
        assert history.writer.refused < history.writer.steps / 2


def begin(history: History) -> None:
    history.write(200)
    play(history, history.rng.choice(BEGINNINGS))
    history.settle()


def play(history: History, event: Event) -> None:
    history.write(history.rng.randrange(100, 300))
    history.tell(f"dbt {event.__name__.replace('_', ' ')}")
    event(history)
