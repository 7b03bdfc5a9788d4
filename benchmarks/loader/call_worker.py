"""A contender in a process of its own: `python -m benchmarks.loader.call_worker CONTENDER TARGET`.

For each number on standard input it makes so many calls and prints how many nanoseconds each of them took.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib import import_module

from benchmarks.loader.contenders import CONTENDERS, Contender
from benchmarks.loader.sample import columns

# Chat requests do not come back to back: a background thread gets its turns in between.
BURST = 10
PAUSE_S = 0.005


def measure(contender: Contender, count: int) -> list[int]:
    """The nanoseconds of so many calls."""
    durations = []
    for number in range(count):
        prepared = contender.prepare(columns(number))
        started = time.perf_counter_ns()
        contender.report(prepared)
        durations.append(time.perf_counter_ns() - started)
        if number % BURST == 0:
            time.sleep(PAUSE_S)
    return durations


if __name__ == "__main__":
    module, function = CONTENDERS[sys.argv[1]].split(":")
    made = getattr(import_module(f"benchmarks.loader.{module}"), function)(sys.argv[2])
    for line in sys.stdin:
        print(json.dumps(measure(made, int(line))), flush=True)
    os._exit(0)  # what nobody took in an outage is not waited for
