"""Model calls, SQL and errors of LangChain and LangGraph, from their callbacks.

from chat_telemetry.integrations.langchain import ChatTelemetryHandler
agent.invoke({"messages": [...]}, config={"callbacks": [ChatTelemetryHandler()]})

It needs the package `langchain-core`. One handler serves all chat requests: each callback finds the one it runs in.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler

from chat_telemetry._observe.advice import unfailing
from chat_telemetry._observe.chat import ObservedChat, current
from chat_telemetry._observe.fields import at, items
from chat_telemetry.integrations._running import Running

# The tools of LangChain's SQL toolkit: all of them serve to write the SQL, and one of them runs it.
_TOOLKIT = "sql_db_"
_SQL_ARGUMENTS = ("query", "sql", "sql_query", "statement")


class _Run:
    """A model call or a tool in progress."""

    __slots__ = ("chat", "sql", "started", "step")

    def __init__(self, chat: ObservedChat, sql: str | None = None) -> None:
        self.chat = chat
        self.step = chat.step_here()
        self.sql = sql
        self.started = time.perf_counter()


class ChatTelemetryHandler(BaseCallbackHandler):
    """Fills the current chat request: model calls, the SQL that a tool runs and its duration, and where it failed.

    Model calls count for the step that is open. Outside of all steps, a call that asks for an SQL tool counts for
    `nl_to_sql`, with its duration, and every other call for the response. The last SQL that ran is `generated_sql`.
    """

    def __init__(self, sql_tools: Collection[str] = ("sql_db_query",)) -> None:
        """`sql_tools` are the names of the tools that run SQL. Their text argument is the SQL."""
        super().__init__()
        self._sql_tools = frozenset(sql_tools)
        self._runs: Running[UUID, _Run] = Running()

    @unfailing
    def on_chat_model_start(self, serialized: Any, messages: Any, *, run_id: UUID, **_: Any) -> None:
        """A chat model is called."""
        self._start(run_id)

    @unfailing
    def on_llm_start(self, serialized: Any, prompts: Any, *, run_id: UUID, **_: Any) -> None:
        """A model for texts is called."""
        self._start(run_id)

    @unfailing
    def on_llm_end(self, response: Any, *, run_id: UUID, **_: Any) -> None:
        """The model has replied: read model, id and tokens."""
        run = self._runs.end(run_id)
        if run is None:
            return
        messages = [at(generation, "message") for group in items(response.generations) for generation in items(group)]
        step = run.step
        if step is None and any(self._asks_for_sql(message) for message in messages):
            step = "nl_to_sql"
            run.chat.intervals.append((step, run.started, time.perf_counter()))
        call = run.chat.new_call("langchain", step)
        for message in messages:
            call.read(message)
        if call.tokens().input is None:
            call.read(response.llm_output)

    @unfailing
    def on_llm_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """The model call failed: before any SQL it was to write it, afterwards to respond."""
        run = self._runs.end(run_id)
        if run is not None:
            wrote_sql = run.chat.record.generated_sql is not None
            run.chat.note_failure(error, run.step or ("response_generation" if wrote_sql else "nl_to_sql"))

    @unfailing
    def on_tool_start(self, serialized: Any, input_str: str, *, run_id: UUID, inputs: Any = None, **_: Any) -> None:
        """A tool is called: keep the SQL."""
        if at(serialized, "name") in self._sql_tools:
            self._start(run_id, _sql_in(inputs) or input_str)

    @unfailing
    def on_tool_end(self, output: Any, *, run_id: UUID, **_: Any) -> None:
        """The SQL ran."""
        self._end_tool(run_id)

    @unfailing
    def on_tool_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """The SQL failed."""
        run = self._end_tool(run_id)
        if run is not None:
            run.chat.note_failure(error, run.step or "sql_execution")

    def _start(self, run_id: UUID, sql: str | None = None) -> None:
        chat = current()
        if chat is not None:
            self._runs.start(run_id, _Run(chat, sql))

    def _end_tool(self, run_id: UUID) -> _Run | None:
        run = self._runs.end(run_id)
        if run is not None and not run.chat.is_over:
            run.chat.record.generated_sql = run.sql
            if run.step != "sql_execution":
                run.chat.intervals.append(("sql_execution", run.started, time.perf_counter()))
        return run

    def _asks_for_sql(self, message: Any) -> bool:
        names = [at(call, "name") for call in items(at(message, "tool_calls"))]
        return any(isinstance(name, str) and (name in self._sql_tools or name.startswith(_TOOLKIT)) for name in names)


def _sql_in(inputs: Any) -> str | None:
    """The SQL among the arguments of a tool: by the name of the argument, or the only text."""
    if not isinstance(inputs, dict):
        return None
    named = [inputs[name] for name in _SQL_ARGUMENTS if isinstance(inputs.get(name), str)]
    texts = [value for value in inputs.values() if isinstance(value, str)]
    return named[0] if named else texts[0] if len(texts) == 1 else None
