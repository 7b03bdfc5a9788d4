"""A chat that answers a question by writing SQL, observed by `observe_chat`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from uuid import UUID

import openai
import psycopg

from chat_telemetry import observe_chat

MODEL = os.environ.get("CHAT_MODEL", "gpt-4o-mini")
WRITE_SQL = "Answer with one PostgreSQL query and nothing else."
WRITE_RESPONSE = "Answer the question in one sentence, from these rows: {rows}"


@cache
def model() -> openai.OpenAI:
    """Created by the first request, because a client that exists before a fork would be shared by the processes."""
    return openai.OpenAI()


def answer(user_id: UUID, question: str) -> Iterator[str]:
    """The response, piece by piece."""
    with observe_chat(user_id=user_id, user_question=question) as chat:
        with chat.step("nl_to_sql"):
            response = chat.usage(model().responses.create(model=MODEL, instructions=WRITE_SQL, input=question))
            chat.record.generated_sql = sql = response.output_text
        with chat.step("sql_execution"):
            rows = query(sql)
            chat.record.result_row_count = len(rows)
        with chat.step("response_generation"):
            pieces = []
            instructions = WRITE_RESPONSE.format(rows=rows)
            events = model().responses.create(model=MODEL, instructions=instructions, input=question, stream=True)
            for event in chat.stream(events):
                if event.type == "response.output_text.delta":
                    pieces.append(event.delta)
                    yield event.delta
            chat.record.ai_response = "".join(pieces)


def query(sql: str) -> list[tuple[object, ...]]:
    """The first rows. A model wrote this SQL, so log in as a role that can read only what the user may see."""
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        connection.read_only = True
        return connection.execute(sql.encode()).fetchmany(50)
