"""The SDK of Langfuse as a contender: one generation. Columns without a parameter are metadata."""

from __future__ import annotations

import logging
from typing import Any

from langfuse import Langfuse

from benchmarks.loader.contenders import Contender

NAMED = ("user_question", "ai_response", "response_model", "response_input_tokens", "response_output_tokens")


def generation(endpoint: str) -> Contender:
    """The SDK exports it in batches, too."""
    logging.disable()
    client = Langfuse(public_key="pk-lf-none", secret_key="sk-lf-none", base_url=endpoint)  # noqa: S106

    def prepare(columns: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        return columns, {column: value for column, value in columns.items() if column not in NAMED}

    def report(prepared: tuple[dict[str, Any], dict[str, Any]]) -> None:
        columns, rest = prepared
        client.start_observation(
            name="chat request",
            as_type="generation",
            input=columns["user_question"],
            output=columns["ai_response"],
            model=columns["response_model"],
            usage_details={"input": columns["response_input_tokens"], "output": columns["response_output_tokens"]},
            metadata=rest,
        ).end()

    return Contender(report, prepare)
