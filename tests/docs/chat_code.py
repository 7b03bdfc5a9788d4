"""Chat code as an application has it: a process with an environment, and no other way to the database."""

from __future__ import annotations

import subprocess
import sys

from tests.docs.site import Site

PERSIST = """
import sys
from uuid import UUID
from chat_telemetry import TelemetryRecord, flush, persist_telemetry, stats, user_key
user, model, count = UUID(sys.argv[1]), sys.argv[2], int(sys.argv[3])
for number in range(count):
    persist_telemetry(TelemetryRecord(user_id=user, user_question="How many orders?", generated_sql="select 42",
        sql_model=model, sql_input_tokens=900, sql_output_tokens=40, sql_execution_duration_ms=number, ttfb_ms=812))
assert flush(60), stats()
assert stats().stored == count, stats()
"""


def persist(site: Site, user: str, count: int, model: str = "gpt-4o-mini") -> None:
    """Persist `count` requests of the user; fails if one is not stored."""
    environment = {**site.environment, "CHAT_TELEMETRY_DATABASE_URL": site.url("chat_app")}
    command = [sys.executable, "-c", PERSIST, user, model, str(count)]
    finished = subprocess.run(
        command, env=environment, cwd=site.clone, capture_output=True, text=True, timeout=120, check=False
    )
    assert finished.returncode == 0, finished.stderr
