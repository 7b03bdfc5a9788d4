"""What the tests of the chat frameworks share: a model whose log is the truth, and the record of a chat request.

`make test-integrations` runs them, in an environment that has the frameworks.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from chat_telemetry import TelemetryRecord, observe_chat
from chat_telemetry._observe.chat import ObservedChat
from tests.integrations.instrumentation import instrumented
from tests.loader.conftest import USER
from tests.providers import Call, Model, running_model

collect_ignore_glob = [] if find_spec("langgraph") else ["test_*.py"]
"""An environment without the frameworks cannot import these tests. `-m` in pyproject.toml leaves them out as well."""

QUESTION = "How many orders?"
ASKED_MODEL = "gpt-4o-mini"
SECONDS_TO_TEXT = 0.4
"""Before the first text of a stream. The other chunks before it come at once."""
ENVIRONMENT = {
    "OPENAI_API_KEY": "none",
    "ANTHROPIC_API_KEY": "none",
    "GEMINI_API_KEY": "none",
    # No package may look for another server than the local one.
    "LANGSMITH_TRACING": "false",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "OPENAI_AGENTS_DISABLE_TRACING": "1",
}
COUNTS = ("model", "input_tokens", "output_tokens", "cached_tokens")
MEASURED = (*(f"{prefix}_{count}" for prefix in ("sql", "response") for count in COUNTS), "response_id")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder, so that none is left out of the selection."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.integrations)


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def provider(model: Model, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL, without a path, of the provider on which `model` replies. OpenAI's package finds it by itself."""
    with running_model(model) as url:
        for name, value in {**ENVIRONMENT, "OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_BASE": f"{url}/v1"}.items():
            monkeypatch.setenv(name, value)
        yield url


@pytest.fixture(params=["opentelemetry", "openinference"])
def instrumentation(request: pytest.FixtureRequest) -> Iterator[str]:
    """One of the two instrumentations of OpenAI's package, by its name. A ChatSpanProcessor reads its spans."""
    with instrumented(request.param):
        yield request.param


class Observer:
    """Replaces a client. It keeps the record of the one chat request that a test observes."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._records: list[TelemetryRecord] = []
        self._started = 0.0

    def observe(self) -> ObservedChat:
        chat = observe_chat(user_id=USER, user_question=QUESTION, client=self)  # type: ignore[arg-type]
        self._started = chat._started
        self._model.has_arrived = lambda: chat._first_byte is not None
        return chat

    def persist(self, record: TelemetryRecord) -> bool:
        self._records.append(record)
        return True

    @property
    def record(self) -> TelemetryRecord:
        (record,) = self._records
        return record

    @property
    def measured(self) -> dict[str, object]:
        """The columns of models and tokens that have a value, and what failed."""
        values = {name: getattr(self.record, name) for name in (*MEASURED, "error_type", "failed_step")}
        return {name: value for name, value in values.items() if value is not None}

    def assert_first_text_of(self, call: Call) -> None:
        """`ttfb_ms` is after the provider sent the first text, and before it sent the next one."""
        assert self.record.ttfb_ms is not None
        first, *others = ((sent - self._started) * 1000 for sent in call.text_at)
        assert first - 1 < self.record.ttfb_ms < min(others, default=math.inf) + 1


def cancel_at_first_text(chat_request: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    """Cancel the request, as a server does if the browser leaves, when it sets the event."""

    async def leave() -> None:
        has_text = asyncio.Event()
        request = asyncio.create_task(chat_request(has_text))
        await has_text.wait()
        request.cancel()
        await asyncio.wait([request])

    asyncio.run(leave())


@pytest.fixture
def observer(model: Model) -> Observer:
    return Observer(model)


def of_sql(*calls: Call) -> dict[str, object]:
    """The columns that these model calls fill if they write the SQL."""
    return _columns("sql", calls)


def of_response(*calls: Call) -> dict[str, object]:
    """The columns that these model calls fill if they write the response."""
    return {**_columns("response", calls), "response_id": calls[-1].response_id}


def without_id(columns: dict[str, object], *, if_: bool) -> dict[str, object]:
    """The columns without the id of the model response, if the package does not tell it."""
    return {name: value for name, value in columns.items() if name != "response_id" or not if_}


def of_spans(instrumentation: str, columns: dict[str, object]) -> dict[str, object]:
    """The columns without the id of the model response, if the spans have none."""
    return without_id(columns, if_=instrumentation == "openinference")


def _columns(prefix: str, calls: tuple[Call, ...]) -> dict[str, object]:
    return {
        f"{prefix}_model": calls[-1].model,
        f"{prefix}_input_tokens": sum(call.input_tokens for call in calls),
        f"{prefix}_output_tokens": sum(call.output_tokens for call in calls),
        f"{prefix}_cached_tokens": sum(call.cached_tokens for call in calls),
    }
