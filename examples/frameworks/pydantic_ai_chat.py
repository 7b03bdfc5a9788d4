"""pydantic-ai: its own spans have the model calls of an agent, and the tool that runs SQL is a step."""

from __future__ import annotations

import asyncio
import os
import sys
from uuid import UUID

import psycopg
from opentelemetry.sdk.trace import TracerProvider
from pydantic_ai import Agent
from pydantic_ai.models.instrumented import InstrumentationSettings

import chat_telemetry
from chat_telemetry.integrations.opentelemetry import ChatSpanProcessor

# An application with OpenTelemetry has these two lines, and adds the third.
tracer_provider = TracerProvider()
Agent.instrument_all(InstrumentationSettings(tracer_provider=tracer_provider))
tracer_provider.add_span_processor(ChatSpanProcessor())

agent = Agent(
    os.environ.get("CHAT_MODEL", "openai:gpt-4o-mini"),
    instructions="Answer questions about a PostgreSQL database in one sentence.",
    defer_model_check=True,
)


@agent.tool_plain
def run_sql(query: str) -> str:
    """Run a query. A model wrote it, so log in as a role that can read only what the user may see."""
    chat = chat_telemetry.current()
    with chat.step("sql_execution"), psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        chat.record.generated_sql = query
        connection.read_only = True
        return str(connection.execute(query.encode()).fetchmany(50))


async def answer(user_id: UUID, question: str) -> str:
    """The response, printed piece by piece."""
    pieces = []
    async with chat_telemetry.observe_chat(user_id=user_id, user_question=question) as chat:
        async with agent.run_stream(question) as result:
            async for piece in chat.stream(result.stream_text(delta=True, debounce_by=None)):
                print(piece, end="", flush=True)
                pieces.append(piece)
        chat.record.ai_response = "".join(pieces)
    return "".join(pieces)


if __name__ == "__main__":
    user_id, question = sys.argv[1:]
    asyncio.run(answer(UUID(user_id), question))
    print()
