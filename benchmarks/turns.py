"""Times what is compared in turns, so that a slow moment of the machine hits all of it alike."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence


def fastest_in_turns(
    runs: Sequence[Callable[[], object]], repetitions: int, after: Callable[[], object] = lambda: None
) -> list[float]:
    """The seconds of the fastest repetition of each run, which the rest of the machine disturbed least.

    `after` is called after each run, and not measured.
    """
    fastest = [math.inf] * len(runs)
    for _ in range(repetitions):
        for number, run in enumerate(runs):
            start = time.perf_counter()
            run()
            fastest[number] = min(fastest[number], time.perf_counter() - start)
            after()
    return fastest
