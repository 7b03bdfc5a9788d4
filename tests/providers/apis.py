"""The APIs of the local provider by the end of their path, and embeddings, which some frameworks ask for."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.providers import anthropic_api, gemini_api, openai_chat_api, openai_responses_api
from tests.providers.model import Call, Reply, Request
from tests.providers.sse import Event


@dataclass(frozen=True)
class Api:
    """How one API reads a request, and writes a whole response, a stream and an error."""

    name: str
    path_end: str
    read: Callable[[str, Mapping[str, Any]], Request]
    whole: Callable[[Call, Reply], dict[str, Any]]
    events: Callable[[Call, Reply, Request], Iterator[Event]]
    error: Callable[[int], dict[str, Any]]


APIS = tuple(
    Api(name, path_end, module.read, module.whole, module.events, module.error)
    for name, path_end, module in (
        ("openai_responses", "/responses", openai_responses_api),
        ("openai_chat", "/chat/completions", openai_chat_api),
        ("anthropic", "/v1/messages", anthropic_api),
        ("gemini", "generatecontent", gemini_api),
    )
)


def api_of(path: str) -> Api | None:
    """The API that a request's path belongs to."""
    plain = path.partition("?")[0].lower()
    return next((api for api in APIS if plain.endswith(api.path_end)), None)


def embeddings(body: Mapping[str, Any]) -> dict[str, Any]:
    """The same vector for each text, in the encoding that the request asks for."""
    texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
    vector: Any = [0.5] * 8
    if body.get("encoding_format") == "base64":
        vector = base64.b64encode(struct.pack("<8f", *vector)).decode()
    data = [{"object": "embedding", "index": index, "embedding": vector} for index in range(len(texts))]
    usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
    return {"object": "list", "data": data, "model": body["model"], "usage": usage}
