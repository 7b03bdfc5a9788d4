"""LiteLLM: `chat.usage` and `chat.stream` read its objects, whatever the provider."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from uuid import UUID

import litellm
import psycopg

from chat_telemetry import observe_chat

MODEL = os.environ.get("CHAT_MODEL", "openai/gpt-4o-mini")
WRITE_SQL = "Answer with one PostgreSQL query and nothing else."
WRITE_RESPONSE = "Answer the question in one sentence, from these rows: {rows}"


def answer(user_id: UUID, question: str) -> Iterator[str]:
    """The response, piece by piece."""
    with observe_chat(user_id=user_id, user_question=question) as chat:
        with chat.step("nl_to_sql"):
            response = chat.usage(litellm.completion(model=MODEL, messages=messages(WRITE_SQL, question)))
            chat.record.generated_sql = sql = response.choices[0].message.content
        with chat.step("sql_execution"):
            rows = query(sql)
            chat.record.result_row_count = len(rows)
        with chat.step("response_generation"):
            pieces = []
            chunks = litellm.completion(
                model=MODEL,
                messages=messages(WRITE_RESPONSE.format(rows=rows), question),
                stream=True,
                stream_options={"include_usage": True},  # without it a stream has no tokens
            )
            for chunk in chat.stream(chunks):
                piece = chunk.choices[0].delta.content if chunk.choices else None
                if piece:
                    pieces.append(piece)
                    yield piece
            chat.record.ai_response = "".join(pieces)


def messages(instructions: str, question: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": instructions}, {"role": "user", "content": question}]


def query(sql: str) -> list[tuple[object, ...]]:
    """The first rows. A model wrote this SQL, so log in as a role that can read only what the user may see."""
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        connection.read_only = True
        return connection.execute(sql.encode()).fetchmany(50)


if __name__ == "__main__":
    user_id, question = sys.argv[1:]
    print(*answer(UUID(user_id), question), sep="")
