"""How many lines the database stores in time: fewer after it was too slow for a batch, more again after it was not."""

from __future__ import annotations

# After this many statements of the largest size, twice as many lines are tried.
SUCCESSES_TO_GROW = 10


class BatchSize:
    """The most lines of one statement. Without limit until a statement was too slow."""

    def __init__(self) -> None:
        self.limit = 2**31
        self._successes = 0

    def was_too_large(self, lines: int) -> None:
        self.limit = max(1, lines // 2)
        self._successes = 0

    def was_stored(self, lines: int) -> None:
        if lines < self.limit:
            return
        self._successes += 1
        if self._successes >= SUCCESSES_TO_GROW:
            self.limit *= 2
            self._successes = 0
