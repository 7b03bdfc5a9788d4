"""Vanna 2, whose agent keeps its model responses to itself; and the classes of Vanna 0, which return texts."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from openai import OpenAI
from vanna import Agent, AgentConfig, User
from vanna.capabilities.sql_runner import SqlRunner
from vanna.core.registry import ToolRegistry
from vanna.core.user import RequestContext, UserResolver
from vanna.integrations.local import LocalFileSystem
from vanna.integrations.local.agent_memory import DemoAgentMemory
from vanna.integrations.openai import OpenAILlmService
from vanna.legacy.base import VannaBase
from vanna.legacy.openai.openai_chat import OpenAI_Chat
from vanna.tools import RunSqlTool

import chat_telemetry
from tests.integrations.conftest import ASKED_MODEL, QUESTION, Observer, of_response, of_spans, of_sql
from tests.providers import RESPONSE_TEXT, SQL, Model, Status

pytestmark = pytest.mark.usefixtures("provider")


class Runner(SqlRunner):
    """Runs SQL as a step."""

    async def run_sql(self, args: Any, context: Any) -> pd.DataFrame:
        chat = chat_telemetry.current()
        assert chat is not None
        with chat.step("sql_execution"):
            chat.record.generated_sql = args.sql
            return pd.DataFrame({"orders": [42]})


class Users(UserResolver):
    """One user."""

    async def resolve_user(self, request_context: RequestContext) -> User:
        return User(id="1", username="someone")


def ask(directory: Path, *, stream: bool = False) -> str:
    tools = ToolRegistry()
    tools.register_local_tool(RunSqlTool(Runner(), LocalFileSystem(str(directory))), access_groups=[])
    config = AgentConfig(stream_responses=stream)
    agent = Agent(OpenAILlmService(model=ASKED_MODEL, max_retries=0), tools, Users(), DemoAgentMemory(), config=config)

    async def texts() -> list[str]:
        components = agent.send_message(RequestContext(), QUESTION)
        parts = [component.rich_component async for component in components]
        return [part.content for part in parts if part.type == "text"]

    return "".join(asyncio.run(texts()))


def test_an_agent(instrumentation: str, model: Model, observer: Observer, tmp_path: Path) -> None:
    with observer.observe():
        assert ask(tmp_path) == RESPONSE_TEXT
    assert len(model.calls) == 2
    assert observer.measured == of_spans(instrumentation, of_response(*model.calls))
    assert observer.record.generated_sql == SQL
    assert observer.record.sql_execution_duration_ms is not None


def test_an_agent_that_streams_asks_for_no_tokens(
    instrumentation: str, model: Model, observer: Observer, tmp_path: Path
) -> None:
    with observer.observe():
        ask(tmp_path, stream=True)
    response = of_response(*model.calls)
    reported = {name: value for name, value in response.items() if not name.endswith("_tokens")}
    assert observer.measured == of_spans(instrumentation, reported)


@pytest.mark.usefixtures("instrumentation")
@pytest.mark.parametrize("status", [400, 429, 500])
def test_a_refusal_of_the_provider_is_a_text_of_the_agent(
    model: Model, observer: Observer, tmp_path: Path, status: int
) -> None:
    """The agent raises nothing: chat code has to call `chat.fail` if it finds out."""
    model.failures = [Status(status)]
    with observer.observe():
        ask(tmp_path)
    assert observer.measured == {}


def vanna_0() -> Any:
    """A model, and a store without documents."""
    store: dict[str, Any] = {
        name: lambda *_, **__: [] for name in VannaBase.__abstractmethods__ - vars(OpenAI_Chat).keys()
    }
    return type("Vanna", (OpenAI_Chat,), store)(client=OpenAI(), config={"model": ASKED_MODEL})


def test_the_texts_of_vanna_0(instrumentation: str, model: Model, observer: Observer) -> None:
    """Spans count for the step around the method."""
    vanna = vanna_0()
    with observer.observe() as chat:
        with chat.step("nl_to_sql"):
            sql = vanna.generate_sql(QUESTION)
        with chat.step("response_generation"):
            vanna.generate_summary(QUESTION, pd.DataFrame({"orders": [42]}))
    assert sql == SQL
    assert observer.measured == of_sql(model.calls[0]) | of_spans(instrumentation, of_response(model.calls[1]))
