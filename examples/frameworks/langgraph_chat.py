"""LangGraph: an agent with LangChain's SQL tools. The handler finds its model calls, its SQL and both durations."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from uuid import UUID

from langchain.agents import create_agent
from langchain_community.agent_toolkits import SQLDatabaseToolkit
from langchain_community.utilities import SQLDatabase
from langchain_core.messages import AIMessageChunk
from langchain_openai import ChatOpenAI

from chat_telemetry import observe_chat
from chat_telemetry.integrations.langchain import ChatTelemetryHandler

# Without stream_usage a stream has no tokens.
llm = ChatOpenAI(model=os.environ.get("CHAT_MODEL", "gpt-4o-mini"), stream_usage=True)
# A model writes the SQL, so log in as a role that can read only what the user may see.
database = SQLDatabase.from_uri(os.environ["DATABASE_URL"])
tools = SQLDatabaseToolkit(db=database, llm=llm).get_tools()
agent = create_agent(llm, tools, system_prompt="Answer questions about a PostgreSQL database in one sentence.")


def answer(user_id: UUID, question: str) -> Iterator[str]:
    """The response, piece by piece."""
    with_telemetry = {"callbacks": [ChatTelemetryHandler()]}
    with observe_chat(user_id=user_id, user_question=question) as chat:
        messages = {"messages": [{"role": "user", "content": question}]}
        pieces = []
        for chunk, _ in agent.stream(messages, with_telemetry, stream_mode="messages"):
            if isinstance(chunk, AIMessageChunk) and chunk.text:
                chat.first_byte()
                pieces.append(chunk.text)
                yield chunk.text
        chat.record.ai_response = "".join(pieces)


if __name__ == "__main__":
    user_id, question = sys.argv[1:]
    print(*answer(UUID(user_id), question), sep="")
