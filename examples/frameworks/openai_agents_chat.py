"""openai-agents: the events of a streamed run have everything. The tool that runs SQL is a step."""

from __future__ import annotations

import asyncio
import os
import sys
from uuid import UUID

import psycopg
from agents import Agent, Runner, function_tool

import chat_telemetry


@function_tool
def run_sql(query: str) -> str:
    """Run a query. A model wrote it, so log in as a role that can read only what the user may see."""
    chat = chat_telemetry.current()
    with chat.step("sql_execution"), psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        chat.record.generated_sql = query
        connection.read_only = True
        return str(connection.execute(query.encode()).fetchmany(50))


agent = Agent(
    name="orders",
    instructions="Answer questions about a PostgreSQL database in one sentence.",
    model=os.environ.get("CHAT_MODEL", "gpt-4o-mini"),
    tools=[run_sql],
)


async def answer(user_id: UUID, question: str) -> str:
    """The response, printed piece by piece."""
    async with chat_telemetry.observe_chat(user_id=user_id, user_question=question) as chat:
        result = Runner.run_streamed(agent, question)
        async for event in chat.stream(result.stream_events()):
            if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
                print(event.data.delta, end="", flush=True)
        chat.record.ai_response = result.final_output
    return result.final_output


if __name__ == "__main__":
    user_id, question = sys.argv[1:]
    asyncio.run(answer(UUID(user_id), question))
    print()
