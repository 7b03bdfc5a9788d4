"""The HTTP server of the local provider."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.providers import openai_responses_api
from tests.providers.apis import Api, api_of, embeddings
from tests.providers.model import Call, Cut, Failed, Model, Request, Status
from tests.providers.sse import Event

WIRE = Path(__file__).parents[1] / "wire"
EVENT_STREAM = "text/event-stream"


@contextmanager
def running_provider() -> Iterator[str]:
    """The URL, without a path, of a server whose replies are the captures in tests/wire.

    It replies with SQL to a request without streaming, and with a sentence to one with streaming.
    """
    with _running(_Replay) as url:
        yield url


@contextmanager
def running_model(model: Model) -> Iterator[str]:
    """The URL, without a path, of a server on which `model` replies and logs."""
    with _running(type("_Scripted", (_Scripted,), {"model": model})) as url:
        yield url


@contextmanager
def _running(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # because the end of a stream that is not chunked is no error, wherever it is

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        api = api_of(self.path)
        with suppress(ConnectionError):  # a client may leave at any time
            if api is not None:
                self.respond(api, api.read(self.path, body))
            elif self.path.endswith("/embeddings"):
                self.send_json(200, embeddings(body))
            else:
                self.send_json(404, {"error": {"message": f"no such API: {self.path}"}})

    def respond(self, api: Api, request: Request) -> None:
        raise NotImplementedError

    def send_json(self, status: int, content: dict[str, Any]) -> None:
        self.send_text(status, json.dumps(content), "application/json")

    def send_text(self, status: int, text: str, content_type: str) -> None:
        self.send_head(status, content_type, ("content-length", str(len(text.encode()))))
        self.wfile.write(text.encode())

    def send_head(self, status: int, content_type: str, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (("content-type", content_type), ("connection", "close"), *headers):
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class _Replay(_Handler):
    """Sends the capture of the API."""

    def respond(self, api: Api, request: Request) -> None:
        if not request.is_stream:
            self.send_text(200, (WIRE / f"{api.name}.json").read_text(), "application/json")
            return
        body = (WIRE / f"{api.name}.sse").read_text()
        if not request.body.get("stream_options", {}).get("include_usage"):
            body = "".join(event for event in body.splitlines(keepends=True) if '"choices":[]' not in event)
        self.send_text(200, body, EVENT_STREAM)


class _Scripted(_Handler):
    """Sends what the model replies."""

    model: Model

    def respond(self, api: Api, request: Request) -> None:
        call, failure = self.model.accept(api.name, request)
        if isinstance(failure, Status):
            self.send_json(failure.code, api.error(failure.code))
        elif isinstance(failure, Failed):
            self.send_failed(call)
        elif request.is_stream:
            self.send_stream(call, api.events(call, self.model.reply(request), request), cut=isinstance(failure, Cut))
        else:
            self.send_json(200, api.whole(call, self.model.reply(request)))

    def send_failed(self, call: Call) -> None:
        if call.is_stream:
            self.send_stream(call, openai_responses_api.failed_events(call))
        else:
            self.send_json(200, openai_responses_api.failed(call))

    def send_stream(self, call: Call, events: Iterator[Event], *, cut: bool = False) -> None:
        self.send_head(200, EVENT_STREAM, ("transfer-encoding", "chunked"))
        for event in events:
            if event.is_text:
                self.model.wait_for_turn(call)
            self.send_chunk(event.encode())
            if cut and event.is_text:
                self.model.wait_for_turn(call)
                return
        self.send_chunk(b"")

    def send_chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()
