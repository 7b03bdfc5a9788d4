"""A FastAPI endpoint that streams. Every wait is in asyncio; `observe_chat` never waits."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from uuid import UUID

import openai
import psycopg
from chat import MODEL, WRITE_RESPONSE, WRITE_SQL
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from chat_telemetry import close, observe_chat


class Question(BaseModel):
    """The body of a request. In a real application the user comes from the session."""

    user_id: UUID
    question: str


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """`close` waits for the database, at most 5 seconds. It runs in a thread, so that the event loop keeps running."""
    yield
    await asyncio.to_thread(close, timeout=5)


app = FastAPI(lifespan=lifespan)


@cache
def model() -> openai.AsyncOpenAI:
    """Created by the first request, in the process that uses it."""
    return openai.AsyncOpenAI()


@app.post("/chat")
async def chat(question: Question) -> StreamingResponse:
    """The response as it is written. A browser that disconnects is recorded as `cancelled`."""
    return StreamingResponse(answer(question.user_id, question.question), media_type="text/plain")


async def answer(user_id: UUID, question: str) -> AsyncIterator[str]:
    """The response, piece by piece. A failure comes too late for a status code, so the user reads a text instead."""
    async with observe_chat(user_id=user_id, user_question=question) as chat:
        try:
            async with chat.step("nl_to_sql"):
                response = await model().responses.create(model=MODEL, instructions=WRITE_SQL, input=question)
                chat.record.generated_sql = sql = chat.usage(response).output_text
            async with chat.step("sql_execution"):
                rows = await query(sql)
                chat.record.result_row_count = len(rows)
            async with chat.step("response_generation"):
                pieces = []
                instructions = WRITE_RESPONSE.format(rows=rows)
                events = await model().responses.create(
                    model=MODEL, instructions=instructions, input=question, stream=True
                )
                async for event in chat.stream(events):
                    if event.type == "response.output_text.delta":
                        pieces.append(event.delta)
                        yield event.delta
                chat.record.ai_response = "".join(pieces)
        except (openai.OpenAIError, psycopg.Error) as error:
            chat.fail(error)
            yield "Sorry, I could not look that up."


async def query(sql: str) -> list[tuple[object, ...]]:
    """The first rows. A model wrote this SQL, so log in as a role that can read only what the user may see."""
    async with await psycopg.AsyncConnection.connect(os.environ["DATABASE_URL"]) as connection:
        await connection.set_read_only(True)
        return await (await connection.execute(sql.encode())).fetchmany(50)
