"""Instruments OpenAI's package for one test."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from chat_telemetry.integrations.opentelemetry import ChatSpanProcessor


@contextmanager
def instrumented(name: str, tracer_provider: Any = None) -> Iterator[None]:
    """OpenAI's package makes spans during the block, by `opentelemetry` or `openinference`."""
    instrumentor: Any = import_module(f"{name}.instrumentation.openai").OpenAIInstrumentor()
    instrumentor.instrument(tracer_provider=tracer_provider or tracer_provider_of_chats())
    try:
        yield
    finally:
        instrumentor.uninstrument()
        _unwrap()


def tracer_provider_of_chats() -> Any:
    """A tracer provider whose only processor fills chat requests."""
    tracer_provider = import_module("opentelemetry.sdk.trace").TracerProvider()
    tracer_provider.add_span_processor(ChatSpanProcessor())
    return tracer_provider


def _unwrap() -> None:
    """Restore the methods that `uninstrument` leaves wrapped. Otherwise a call of a later test has two spans."""
    wrapper = import_module("wrapt").FunctionWrapper
    for module in [module for name, module in sys.modules.items() if name.split(".")[0] == "openai"]:
        for owner in [value for value in vars(module).values() if isinstance(value, type)]:
            for name, method in list(vars(owner).items()):
                if isinstance(method, wrapper):
                    setattr(owner, name, method.__wrapped__)
