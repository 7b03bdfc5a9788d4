"""instructor returns the developer's own model. The model response is in its private attribute `_raw_response`."""

from __future__ import annotations

import asyncio
from typing import Any

import instructor
import openai
import pytest
from instructor.core import InstructorRetryException
from pydantic import BaseModel

from tests.integrations.conftest import ASKED_MODEL, QUESTION, Observer, of_sql
from tests.providers import SQL, Model, Status

pytestmark = pytest.mark.usefixtures("provider")


class Query(BaseModel):
    """What the model writes."""

    sql: str


ASKED: Any = {"messages": [{"role": "user", "content": QUESTION}], "response_model": Query}


def test_create_with_completion(model: Model, observer: Observer) -> None:
    client = instructor.from_provider(f"openai/{ASKED_MODEL}")
    with observer.observe() as chat, chat.step("nl_to_sql"):
        query, completion = client.create_with_completion(**ASKED)
        chat.usage(completion)
    assert query.sql == SQL
    assert observer.measured == of_sql(*model.calls)


def test_create(model: Model, observer: Observer) -> None:
    client = instructor.from_provider(f"openai/{ASKED_MODEL}")
    with observer.observe() as chat, chat.step("nl_to_sql"):
        assert chat.usage(client.create(**ASKED)).sql == SQL
    assert observer.measured == of_sql(*model.calls)


def test_create_in_asyncio(model: Model, observer: Observer) -> None:
    async def chat_request() -> None:
        async with openai.AsyncOpenAI() as api, observer.observe() as chat, chat.step("nl_to_sql"):
            client = instructor.from_openai(api)
            chat.usage(await client.create(model=ASKED_MODEL, **ASKED))

    asyncio.run(chat_request())
    assert observer.measured == of_sql(*model.calls)


def test_a_partial_model_has_no_model_response(model: Model, observer: Observer) -> None:
    client = instructor.from_provider(f"openai/{ASKED_MODEL}")
    with observer.observe() as chat, chat.step("nl_to_sql"):
        list(chat.stream(client.create_partial(**ASKED)))
    assert len(model.calls) == 1
    assert observer.measured == {}
    assert observer.record.ttfb_ms is None


def test_a_refusal_of_the_provider_is_an_error_of_its_step(model: Model, observer: Observer) -> None:
    client = instructor.from_provider(f"openai/{ASKED_MODEL}")
    model.failures = [Status(400)]
    with pytest.raises(InstructorRetryException), observer.observe() as chat, chat.step("nl_to_sql"):
        chat.usage(client.create(**ASKED))
    assert observer.measured == {"error_type": "sql_generation", "failed_step": "understanding"}
