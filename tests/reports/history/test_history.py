"""After random events in the log, dbt and the database, one successful run makes all reports equal to direct SQL."""

from __future__ import annotations

import os
import time

import pytest

from tests.conftest import SERVERS
from tests.dbt_project import DbtProject
from tests.reports.history.driver import History, choose_seed
from tests.reports.history.events import BEGINNINGS, EVENTS, Event

MINUTES = float(os.environ.get("CHAT_TELEMETRY_HISTORY_MINUTES", "10"))

# Each takes a minute or more, so here one server is enough; `make test-history` takes both.
on_one_server = pytest.mark.parametrize("postgres", SERVERS[-1:], indirect=True, scope="session")


@on_one_server
@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_the_reports_are_right_after_the_first_run(project: DbtProject, beginning: Event) -> None:
    with History(project, choose_seed()) as history:
        begin(history, beginning)


@on_one_server
@pytest.mark.timeout(2700)
def test_the_reports_are_right_after_every_event_in_any_order(project: DbtProject) -> None:
    with History(project, choose_seed()) as history:
        begin(history, history.rng.choice(BEGINNINGS))
        for place, event in enumerate(history.rng.sample(EVENTS, len(EVENTS)), 1):
            play(history, event)
            if place % 3 == 0 or place == len(EVENTS):
                history.check()
        assert history.writer.refused < history.writer.writes / 2


@pytest.mark.history
@pytest.mark.timeout(MINUTES * 60 + 600)
def test_the_reports_are_right_after_a_long_history(project: DbtProject) -> None:
    deadline = time.monotonic() + MINUTES * 60
    with History(project, choose_seed()) as history:
        begin(history, history.rng.choice(BEGINNINGS))
        while time.monotonic() < deadline:
            for event in history.rng.choices(EVENTS, k=history.rng.randint(1, 4)):
                play(history, event)
            history.check()
        assert history.writer.refused < history.writer.writes / 2


def begin(history: History, beginning: Event) -> None:
    history.write(200)
    play(history, beginning)
    history.check()


def play(history: History, event: Event) -> None:
    history.write(history.rng.randrange(100, 300))
    history.tell(f"dbt {event.__name__.replace('_', ' ')}")
    event(history)
