"""The schedule by Airflow: one task, because a task per model would start dbt once for each.

The environment of the worker has CHAT_TELEMETRY_DBT_URL, and `pip install 'chat-telemetry[cli,dbt]'` in a virtual
environment of its own: dbt and Airflow need different versions of some packages.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

with DAG(
    "chat_telemetry",
    schedule=timedelta(minutes=15),
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
):
    BashOperator(
        task_id="run",
        bash_command="/opt/chat-telemetry/bin/chat-telemetry run --log-format json",
        execution_timeout=timedelta(hours=1),
        append_env=True,
    )
