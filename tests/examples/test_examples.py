from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import SERVERS
from tests.examples.conftest import Examples, ask
from tests.loader.conftest import wait_until
from tests.providers import RESPONSE_TEXT, SQL

# No example depends on the version of PostgreSQL.
pytestmark = pytest.mark.parametrize("postgres", SERVERS[-1:], indirect=True, scope="session")

EXPECTED = {
    "user_question": "How many orders?",
    "ai_response": RESPONSE_TEXT,
    "generated_sql": SQL,
    "result_row_count": 1,
    "error_type": None,
    "response_id": "resp_7d41c0de",
    "sql_model": "gpt-4o-mini-2024-07-18",
    "sql_input_tokens": 1412,
    "sql_cached_tokens": 1024,
    "response_model": "gpt-4.1-mini-2025-04-14",
    "response_output_tokens": 24,
}
MEASURED = ("nl_to_sql_duration_ms", "sql_execution_duration_ms", "response_generation_duration_ms", "ttfb_ms")


def is_complete(row: dict[str, object]) -> bool:
    return row.items() >= EXPECTED.items() and all(row[column] is not None for column in MEASURED)


def test_the_script_delivers_its_record_at_exit(examples: Examples) -> None:
    assert examples.run("script.py", str(examples.user_id), "How many orders?") == f"{RESPONSE_TEXT}\n"
    (row,) = examples.rows()
    assert is_complete(row)


def test_the_function_delivers_its_record_before_it_returns(examples: Examples) -> None:
    event = {"user_id": str(examples.user_id), "question": "How many orders?"}
    program = "import os, lambda_handler; from chat_telemetry import flush; "
    program += "lambda_handler.flush = lambda timeout: flush(30); "  # its two seconds are too few on a busy machine
    program += f"print(lambda_handler.handler({event}, None), flush=True); os._exit(0)"
    assert RESPONSE_TEXT in examples.run("-c", program)
    (row,) = examples.rows()
    assert is_complete(row)


def test_the_django_view_records_its_streamed_response(examples: Examples, tmp_path: Path) -> None:
    command = ("-m", "gunicorn", "django_app:application", "--bind", "127.0.0.1:{port}")
    with examples.serving(*command, directory=tmp_path) as port:
        assert ask(port, examples.user_id) == RESPONSE_TEXT
        wait_until(examples.rows)
    (row,) = examples.rows()
    assert is_complete(row)


def test_gunicorn_workers_lose_no_record_when_they_stop(examples: Examples, tmp_path: Path) -> None:
    command = ("-m", "gunicorn", "--config", "gunicorn.conf.py", "--bind", "127.0.0.1:{port}")
    with examples.serving(*command, directory=tmp_path) as port, ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(lambda _: ask(port, examples.user_id), range(40)))
    assert responses == [RESPONSE_TEXT] * 40
    rows = examples.rows()
    assert len({row["log_id"] for row in rows}) == 40
    assert all(is_complete(row) for row in rows)


UVICORN = ("-m", "uvicorn", "fastapi_app:app", "--port", "{port}", "--log-level", "warning")


def test_the_fastapi_endpoint_records_its_streamed_response(examples: Examples, tmp_path: Path) -> None:
    with examples.serving(*UVICORN, directory=tmp_path) as port, ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(lambda _: ask(port, examples.user_id), range(20)))
    assert responses == [RESPONSE_TEXT] * 20
    rows = examples.rows()
    assert len(rows) == 20
    assert all(is_complete(row) for row in rows)


def test_the_fastapi_endpoint_records_a_failure_that_it_handles(examples: Examples, tmp_path: Path) -> None:
    examples.environment["DATABASE_URL"] = "host=/nowhere"
    with examples.serving(*UVICORN, directory=tmp_path) as port:
        assert ask(port, examples.user_id) == "Sorry, I could not look that up."
    (row,) = examples.rows()
    assert (row["error_type"], row["failed_step"], row["generated_sql"]) == ("sql_execution", "looking_up", SQL)
    assert str(row["error_message"]).startswith("OperationalError: ")
