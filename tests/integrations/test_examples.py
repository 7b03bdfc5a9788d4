"""The programs in examples/frameworks, as they are, with a real PostgreSQL."""

from __future__ import annotations

import os
from urllib.parse import urlencode

import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.conftest import SERVERS, Database
from tests.examples.conftest import EXAMPLES, Examples
from tests.integrations.conftest import MEASURED, QUESTION, SECONDS_TO_TEXT, of_response, of_sql, without_id
from tests.providers import RESPONSE_TEXT, SQL, Call, Model

# No framework depends on the version of PostgreSQL.
pytestmark = pytest.mark.parametrize("postgres", SERVERS[-1:], indirect=True, scope="session")

PROGRAMS = [path.stem for path in sorted((EXAMPLES / "frameworks").glob("*.py"))]
# Those in which the model calls have a step or, in LangGraph, a tool that tells what they are for.
KNOW_WHAT_WROTE_SQL = {"instructor_chat", "langchain_chat", "langgraph_chat", "litellm_chat"}
STREAM = {"langchain_chat", "langgraph_chat", "litellm_chat", "openai_agents_chat", "pydantic_ai_chat"}
TIME_THE_SQL = set(PROGRAMS) - {"llama_index_chat"}


@pytest.fixture
def examples(database: Database, provider: str) -> Examples:
    """With tables, because some frameworks read their names."""
    (user_id,) = database.add_users(1)
    parts = conninfo_to_dict(database.conninfo)
    address = urlencode({name: value for name, value in parts.items() if name != "dbname"})
    url = f"postgresql:///{parts['dbname']}?{address}"
    environment = {**os.environ, "CHAT_TELEMETRY_DATABASE_URL": database.conninfo, "DATABASE_URL": url}
    return Examples(database, user_id, environment)


def expected_of(program: str, sql: Call, response: Call) -> dict[str, object]:
    if program not in KNOW_WHAT_WROTE_SQL:
        return of_response(sql, response)
    columns = of_sql(sql) | without_id(of_response(response), if_=program in {"langchain_chat", "langgraph_chat"})
    return columns | ({"response_model": sql.model.removesuffix("-2025-04-14")} if program == "litellm_chat" else {})


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_record_of_an_example(program: str, examples: Examples, model: Model) -> None:
    model.seconds_to_text = SECONDS_TO_TEXT
    assert examples.run(f"frameworks/{program}.py", str(examples.user_id), QUESTION) == f"{RESPONSE_TEXT}\n"
    (row,) = examples.rows()
    measured = {name: row[name] for name in MEASURED if row[name] is not None}
    assert measured == expected_of(program, *model.calls)
    assert (row["generated_sql"], row["ai_response"], row["error_type"]) == (SQL, RESPONSE_TEXT, None)
    assert (row["sql_execution_duration_ms"] is not None) == (program in TIME_THE_SQL)
    assert (row["ttfb_ms"] is not None) == (program in STREAM)
    assert float(str(row["ttfb_ms"] or "inf")) >= SECONDS_TO_TEXT * 1000
