"""A server on 127.0.0.1 with the APIs of OpenAI, Anthropic and Gemini, so that their own packages can be its client.

Its replies are the files in tests/wire: SQL for a request without streaming, a sentence for one with streaming.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

WIRE = Path(__file__).parent / "wire"
SQL = "select 6 * 7 as orders"
RESPONSE_TEXT = "There were 42 orders."
APIS = {
    "/v1/responses": "openai_responses",
    "/v1/chat/completions": "openai_chat",
    "/v1/messages": "anthropic",
    "generatecontent": "gemini",
}


class _Provider(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        api = next(api for ending, api in APIS.items() if self.path.partition("?")[0].lower().endswith(ending))
        is_stream = request.get("stream") or ":stream" in self.path
        body = (WIRE / f"{api}.{'sse' if is_stream else 'json'}").read_text()
        if is_stream and not request.get("stream_options", {}).get("include_usage"):
            body = "".join(event for event in body.splitlines(keepends=True) if '"choices":[]' not in event)
        self.send_response(200)
        self.send_header("content-type", "text/event-stream" if is_stream else "application/json")
        self.send_header("content-length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def running_provider() -> Iterator[str]:
    """The URL of a running server, without a path."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Provider)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
