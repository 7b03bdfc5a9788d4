"""The schedule by Dagster: an op that runs one cycle, and the job and schedule around it.

The environment of Dagster has CHAT_TELEMETRY_DBT_URL, and `pip install 'chat-telemetry[cli,dbt]'`.
"""

from __future__ import annotations

import subprocess

import dagster


@dagster.op
def run_chat_telemetry() -> None:
    """A failed step, and an alert that began, fail the op."""
    subprocess.run(["chat-telemetry", "run", "--log-format", "json"], check=True)


@dagster.job
def chat_telemetry() -> None:
    """One cycle."""
    run_chat_telemetry()


definitions = dagster.Definitions(
    jobs=[chat_telemetry], schedules=[dagster.ScheduleDefinition(job=chat_telemetry, cron_schedule="*/15 * * * *")]
)
