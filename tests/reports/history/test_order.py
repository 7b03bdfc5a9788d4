"""An order of two runs that a random history meets once in years, set up lock by lock."""

from __future__ import annotations

import time

from tests.dbt_project import DbtProject
from tests.reports.history.driver import LOCK, blocked_by
from tests.reports.history.process import TIMEOUT_S, DbtProcess


def test_a_tally_that_waited_for_another_run_does_not_go_back_to_an_older_batch(project: DbtProject) -> None:
    """It looked up the newest batch, waited for its row, and found it with a newer one counted by then."""
    project.run("run", "--select", "drained_changes", "daily_users")
    with project.database.connect() as other_run:
        with other_run.transaction():
            other_run.execute(LOCK, ["daily_users"])
            waiting = DbtProcess(project, "run", "--select", "daily_users")
            deadline = time.monotonic() + TIMEOUT_S
            while not blocked_by(other_run):
                assert waiting.is_running(), waiting.said()
                assert time.monotonic() < deadline, waiting.said()
                time.sleep(0.01)
            # Nothing has changed, so the batch is empty: to count it is to note it.
            project.run("run", "--select", "drained_changes")
            other_run.execute(
                "update chat_tallies.tally_progress set applied_from = applied_to, applied_to = applied_to + 1"
                " where name = 'daily_users'"
            )
        assert waiting.succeeded(), waiting.said()
        noted = other_run.execute("select name, applied_from, applied_to from chat_tallies.tally_progress").fetchall()
        progress = {name: (applied_from, applied_to) for name, applied_from, applied_to in noted}
        assert (progress["drained_changes"], progress["daily_users"]) == ((1, 2), (2, 2))
