"""llama-index: a query engine keeps its model responses to itself, so the spans of its model calls are read."""

from __future__ import annotations

import os
import sys
from uuid import UUID

from llama_index.core import SQLDatabase
from llama_index.core.query_engine import NLSQLTableQueryEngine
from llama_index.llms.openai import OpenAI
from opentelemetry.instrumentation.openai import OpenAIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from sqlalchemy import create_engine

from chat_telemetry import observe_chat
from chat_telemetry.integrations.opentelemetry import ChatSpanProcessor

# An application with OpenTelemetry has these two lines, and adds the third.
tracer_provider = TracerProvider()
OpenAIInstrumentor().instrument(tracer_provider=tracer_provider)
tracer_provider.add_span_processor(ChatSpanProcessor())

# A model writes the SQL, so log in as a role that can read only what the user may see.
database = SQLDatabase(create_engine(os.environ["DATABASE_URL"]))
engine = NLSQLTableQueryEngine(
    database,
    tables=list(database.get_usable_table_names()),
    llm=OpenAI(model=os.environ.get("CHAT_MODEL", "gpt-4o-mini")),
    embed_model="mock",
)


def answer(user_id: UUID, question: str) -> str:
    """The response. The engine writes SQL, runs it and writes the response in one call."""
    with observe_chat(user_id=user_id, user_question=question) as chat:
        response = engine.query(question)
        chat.record.generated_sql = response.metadata["sql_query"]
        chat.record.result_row_count = len(response.metadata["result"])
        chat.record.ai_response = str(response)
    return str(response)


if __name__ == "__main__":
    user_id, question = sys.argv[1:]
    print(answer(UUID(user_id), question))
