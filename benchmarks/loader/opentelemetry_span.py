"""OpenTelemetry as a contender: one span with 24 attributes, exported in batches by OTLP over HTTP."""

from __future__ import annotations

import logging
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from benchmarks.loader.contenders import Contender


def batched_span(endpoint: str) -> Contender:
    """All attributes are set in one call, which is the cheapest way if they are known at the end of a request."""
    logging.disable()  # each failed export is logged, and this benchmark does not compare logging
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint}/v1/traces")))
    tracer = provider.get_tracer("chat")

    def report(columns: dict[str, Any]) -> None:
        with tracer.start_as_current_span("chat request") as span:
            span.set_attributes(columns)

    return Contender(report)
