"""Server-sent events: what a stream consists of."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Event:
    """One event of a stream. `is_text` if it has text for the user. Anthropic and the Responses name their events."""

    data: dict[str, Any] | str
    name: str | None = None
    is_text: bool = False

    def encode(self) -> bytes:
        data = self.data if isinstance(self.data, str) else json.dumps(self.data)
        return (f"event: {self.name}\n" if self.name else "").encode() + f"data: {data}\n\n".encode()


def pieces(text: str) -> list[str]:
    """The text in the pieces in which a stream sends it."""
    middle = len(text) // 2
    return [text[:middle], text[middle:]] if text else []
