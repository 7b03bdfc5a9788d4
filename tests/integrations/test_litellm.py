"""LiteLLM calls each provider. Its objects have the fields of OpenAI's, so `chat.usage` and `chat.stream` read them."""

from __future__ import annotations

import asyncio
from typing import Any

import litellm
import pytest

from tests.integrations.conftest import (
    ASKED_MODEL,
    QUESTION,
    SECONDS_TO_TEXT,
    Observer,
    cancel_at_first_text,
    of_response,
    of_sql,
)
from tests.providers import Model, Status

WRITE_SQL: Any = {"messages": [{"role": "user", "content": QUESTION}]}
WRITE_RESPONSE: Any = {
    "messages": [{"role": "user", "content": f"{QUESTION} The rows: [(42,)]"}],
    "stream": True,
    "stream_options": {"include_usage": True},
}


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    """LiteLLM imports much with its first stream, which would be a part of a measured time."""
    list(litellm.completion(model="openai/any", messages=WRITE_SQL["messages"], mock_response="any", stream=True))


@pytest.fixture(params=["openai", "anthropic", "gemini"])
def asked(request: pytest.FixtureRequest, provider: str) -> dict[str, str]:
    """The arguments that reach one API of the local provider."""
    return {
        "openai": {"model": f"openai/{ASKED_MODEL}"},
        "anthropic": {"model": "anthropic/claude-haiku-4-5", "api_base": provider},
        "gemini": {"model": "gemini/gemini-2.5-flash", "api_base": f"{provider}/v1beta"},
    }[request.param]


def is_right(observer: Observer, model: Model, asked: dict[str, str]) -> bool:
    """In a stream, LiteLLM has the model that was asked for. Instead of the id of Anthropic it makes one of its own."""
    api, alias = asked["model"].split("/")
    response = of_response(model.calls[1]) | {"response_model": alias}
    if api == "anthropic":
        assert str(observer.measured["response_id"]).startswith("chatcmpl-")
        response["response_id"] = observer.measured["response_id"]
    return observer.measured == of_sql(model.calls[0]) | response


def test_completion(asked: dict[str, str], model: Model, observer: Observer) -> None:
    model.seconds_to_text = SECONDS_TO_TEXT
    with observer.observe() as chat:
        with chat.step("nl_to_sql"):
            chat.usage(litellm.completion(**WRITE_SQL, **asked))
        with chat.step("response_generation"):
            list(chat.stream(litellm.completion(**WRITE_RESPONSE, **asked)))
    assert is_right(observer, model, asked)
    observer.assert_first_text_of(model.calls[1])


def test_acompletion(asked: dict[str, str], model: Model, observer: Observer) -> None:
    async def chat_request() -> None:
        async with observer.observe() as chat:
            async with chat.step("nl_to_sql"):
                chat.usage(await litellm.acompletion(**WRITE_SQL, **asked))
            async with chat.step("response_generation"):
                async for _ in chat.stream(await litellm.acompletion(**WRITE_RESPONSE, **asked)):
                    pass

    model.seconds_to_text = SECONDS_TO_TEXT
    asyncio.run(chat_request())
    assert is_right(observer, model, asked)
    observer.assert_first_text_of(model.calls[1])


@pytest.mark.usefixtures("provider")
def test_responses(model: Model, observer: Observer) -> None:
    """The id is LiteLLM's own, with which it finds the provider of a later request."""
    model.seconds_to_text = SECONDS_TO_TEXT
    asked: Any = {"model": f"openai/{ASKED_MODEL}"}
    with observer.observe() as chat:
        with chat.step("nl_to_sql"):
            chat.usage(litellm.responses(input=QUESTION, **asked))
        with chat.step("response_generation"):
            list(chat.stream(litellm.responses(input=f"{QUESTION} The rows: [(42,)]", stream=True, **asked)))
    own_id = {"response_id": observer.record.response_id}
    assert observer.measured == of_sql(model.calls[0]) | of_response(model.calls[1]) | own_id
    assert str(observer.record.response_id).startswith("resp_")
    observer.assert_first_text_of(model.calls[1])


@pytest.mark.usefixtures("provider")
@pytest.mark.parametrize(("status", "error"), [(400, "BadRequestError"), (429, "RateLimitError")])
def test_a_refusal_of_the_provider_is_an_error_of_its_step(
    model: Model, observer: Observer, status: int, error: str
) -> None:
    model.failures = [Status(status)]
    with pytest.raises(getattr(litellm, error)), observer.observe() as chat, chat.step("nl_to_sql"):
        chat.usage(litellm.completion(**WRITE_SQL, model=f"openai/{ASKED_MODEL}", num_retries=0, max_retries=0))
    assert observer.measured == {"error_type": "sql_generation", "failed_step": "understanding"}
    assert str(observer.record.error_message).startswith(error)


@pytest.mark.usefixtures("provider")
def test_a_cancelled_stream_leaves_the_model_and_no_tokens(model: Model, observer: Observer) -> None:
    async def chat_request(has_text: asyncio.Event) -> None:
        async with observer.observe() as chat, chat.step("response_generation"):
            chunks = await litellm.acompletion(**WRITE_RESPONSE, model=f"openai/{ASKED_MODEL}")
            async for chunk in chat.stream(chunks):
                if chunk.choices and chunk.choices[0].delta.content:
                    has_text.set()

    model.seconds_to_text = SECONDS_TO_TEXT
    cancel_at_first_text(chat_request)
    assert observer.measured == {
        "response_model": ASKED_MODEL,
        "response_id": model.calls[0].response_id,
        "error_type": "cancelled",
        "failed_step": "response",
    }
    observer.assert_first_text_of(model.calls[0])
