"""Runs one contender in a separate process: `python -m benchmarks.loader.call_worker CONTENDER TARGET`.

For each number on standard input, it makes as many calls and prints the nanoseconds of each call.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib import import_module

from benchmarks.loader.contenders import CONTENDERS, Contender
from benchmarks.loader.sample import columns

# Chat requests do not follow each other without a pause, so a background thread can run between them.
BURST = 10
PAUSE_S = 0.005


def measure(contender: Contender, count: int) -> list[int]:
    """The nanoseconds of each of `count` calls."""
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
    contender = getattr(import_module(f"benchmarks.loader.{module}"), function)(sys.argv[2])
    for line in sys.stdin:
        print(json.dumps(measure(contender, int(line))), flush=True)
    os._exit(0)  # does not wait for records that were not delivered in an outage
