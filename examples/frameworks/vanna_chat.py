"""Vanna 2: its agent keeps its model responses to itself, so the spans of its model calls are read."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from typing import Any
from uuid import UUID

from opentelemetry.instrumentation.openai import OpenAIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from vanna import Agent, AgentConfig, User
from vanna.core.registry import ToolRegistry
from vanna.core.user import RequestContext, UserResolver
from vanna.integrations.local import LocalFileSystem
from vanna.integrations.local.agent_memory import DemoAgentMemory
from vanna.integrations.openai import OpenAILlmService
from vanna.integrations.postgres import PostgresRunner
from vanna.tools import RunSqlTool

import chat_telemetry
from chat_telemetry.integrations.opentelemetry import ChatSpanProcessor

# An application with OpenTelemetry has these two lines, and adds the third.
tracer_provider = TracerProvider()
OpenAIInstrumentor().instrument(tracer_provider=tracer_provider)
tracer_provider.add_span_processor(ChatSpanProcessor())


class ObservedRunner(PostgresRunner):
    """Runs SQL as a step of the chat request."""

    async def run_sql(self, args: Any, context: Any) -> Any:
        """A model wrote the SQL, so log in as a role that can read only what the user may see."""
        chat = chat_telemetry.current()
        with chat.step("sql_execution"):
            chat.record.generated_sql = args.sql
            return await super().run_sql(args, context)


class Users(UserResolver):
    """Who asks. In a real application the user comes from the session."""

    async def resolve_user(self, request_context: RequestContext) -> User:
        """The only user."""
        return User(id="1", username="someone")


tools = ToolRegistry()
files = LocalFileSystem(tempfile.gettempdir())
tools.register_local_tool(RunSqlTool(ObservedRunner(os.environ["DATABASE_URL"]), files), access_groups=[])
agent = Agent(
    OpenAILlmService(model=os.environ.get("CHAT_MODEL", "gpt-4o-mini")),
    tools,
    Users(),
    DemoAgentMemory(),
    # Vanna's streams do not ask for tokens. Without stream_responses the tokens are right.
    config=AgentConfig(stream_responses=False),
)


async def answer(user_id: UUID, question: str) -> str:
    """The response."""
    async with chat_telemetry.observe_chat(user_id=user_id, user_question=question) as chat:
        components = [component async for component in agent.send_message(RequestContext(), question)]
        parts = [component.rich_component for component in components]
        chat.record.ai_response = text = "\n".join(part.content for part in parts if part.type == "text")
    return text


if __name__ == "__main__":
    user_id, question = sys.argv[1:]
    print(asyncio.run(answer(UUID(user_id), question)))
