"""What has started and not ended: spans, model calls and tools, each with what is noted of it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

# The oldest are forgotten when there are more than this, because some never end.
MOST = 10_000

Key = TypeVar("Key", bound=Hashable)
Noted = TypeVar("Noted")


class Running(Generic[Key, Noted]):
    """Any thread may start and end something."""

    def __init__(self) -> None:
        self._noted: OrderedDict[Key, Noted] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._noted)

    def start(self, key: Key, noted: Noted) -> None:
        """Keep what is noted until the end."""
        with self._lock:
            self._noted[key] = noted
            if len(self._noted) > MOST:
                self._noted.popitem(last=False)

    def get(self, key: Key | None) -> Noted | None:
        """What is noted of something that runs. None if it does not run."""
        with self._lock:
            return None if key is None else self._noted.get(key)

    def end(self, key: Key) -> Noted | None:
        """The same, and forget it."""
        with self._lock:
            return self._noted.pop(key, None)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._noted.clear()
