"""LangChain: a chain writes the SQL, another one the response. The handler counts the model calls of both."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from uuid import UUID

from langchain_community.utilities import SQLDatabase
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI

from chat_telemetry import observe_chat
from chat_telemetry.integrations.langchain import ChatTelemetryHandler

# Without stream_usage a stream has no tokens.
llm = ChatOpenAI(model=os.environ.get("CHAT_MODEL", "gpt-4o-mini"), stream_usage=True)
# A model writes the SQL, so log in as a role that can read only what the user may see.
database = SQLDatabase.from_uri(os.environ["DATABASE_URL"])
write_sql = (
    ChatPromptTemplate.from_template("Tables: {tables}\nAnswer with one PostgreSQL query and nothing else: {question}")
    | llm
    | StrOutputParser()
)
write_response = (
    ChatPromptTemplate.from_template("Answer the question in one sentence: {question}\nRows: {rows}")
    | llm
    | StrOutputParser()
)


def answer(user_id: UUID, question: str) -> Iterator[str]:
    """The response, piece by piece."""
    with_telemetry = {"callbacks": [ChatTelemetryHandler()]}
    with observe_chat(user_id=user_id, user_question=question) as chat:
        with chat.step("nl_to_sql"):
            tables = database.get_table_info()
            sql = write_sql.invoke({"tables": tables, "question": question}, with_telemetry)
            chat.record.generated_sql = sql
        with chat.step("sql_execution"):
            rows = database.run(sql)
        with chat.step("response_generation"):
            pieces = []
            # The pieces of a chain are texts: chat.stream notes the first one.
            for piece in chat.stream(write_response.stream({"question": question, "rows": rows}, with_telemetry)):
                pieces.append(piece)
                yield piece
            chat.record.ai_response = "".join(pieces)


if __name__ == "__main__":
    user_id, question = sys.argv[1:]
    print(*answer(UUID(user_id), question), sep="")
