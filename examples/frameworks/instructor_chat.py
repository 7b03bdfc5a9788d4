"""instructor: `create_with_completion` returns the model response too, which `chat.usage` reads."""

from __future__ import annotations

import os
import sys
from uuid import UUID

import instructor
import psycopg
from pydantic import BaseModel

from chat_telemetry import observe_chat

MODEL = os.environ.get("CHAT_MODEL", "openai/gpt-4o-mini")


class Query(BaseModel):
    """The SQL that answers the question."""

    sql: str


class Answer(BaseModel):
    """The answer to the question, in one sentence."""

    text: str


def answer(user_id: UUID, question: str) -> str:
    """The response."""
    client = instructor.from_provider(MODEL)
    with observe_chat(user_id=user_id, user_question=question) as chat:
        with chat.step("nl_to_sql"):
            query, completion = client.create_with_completion(response_model=Query, messages=ask(question))
            chat.usage(completion)
            chat.record.generated_sql = query.sql
        with chat.step("sql_execution"):
            rows = run(query.sql)
            chat.record.result_row_count = len(rows)
        with chat.step("response_generation"):
            response, completion = client.create_with_completion(
                response_model=Answer, messages=ask(f"{question} Rows: {rows}")
            )
            chat.usage(completion)
            chat.record.ai_response = response.text
    return response.text


def ask(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def run(sql: str) -> list[tuple[object, ...]]:
    """The first rows. A model wrote this SQL, so log in as a role that can read only what the user may see."""
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        connection.read_only = True
        return connection.execute(sql.encode()).fetchmany(50)


if __name__ == "__main__":
    user_id, question = sys.argv[1:]
    print(answer(UUID(user_id), question))
