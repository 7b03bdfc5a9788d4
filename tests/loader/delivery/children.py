"""A program whose child processes persist records and end without a flush. It prints a digit for each record.

python -m tests.loader.delivery.children METHOD KIND USER_ID
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import util
from multiprocessing.context import BaseContext
from uuid import UUID

from chat_telemetry import TelemetryClient, TelemetryRecord, persist_telemetry


def ask(_: object = None) -> None:
    record = TelemetryRecord(user_id=UUID(sys.argv[-1]), user_question="How many orders?")
    os.write(1, b"1" if persist_telemetry(record) else b"0")


def ask_and_fail() -> None:
    ask()
    raise ValueError


def ask_and_exit() -> None:
    ask()
    sys.exit(3)


def ask_in_a_thread_that_outlives_the_task() -> None:
    threading.Thread(target=ask_later).start()
    ask()


def ask_later() -> None:
    time.sleep(0.5)
    ask()


def ask_in_finalizers() -> None:
    util.Finalize(None, ask, exitpriority=100)
    util.Finalize(None, ask, exitpriority=-5)


def ask_with_a_client_of_its_own() -> None:
    client = TelemetryClient()
    record = TelemetryRecord(user_id=UUID(sys.argv[-1]), user_question="How many orders?")
    os.write(1, b"1" if client.persist(record) else b"0")
    kept.append(client)


kept: list[TelemetryClient] = []
TASKS = {
    "returns": ask,
    "fails": ask_and_fail,
    "exits": ask_and_exit,
    "has a thread": ask_in_a_thread_that_outlives_the_task,
    "has finalizers": ask_in_finalizers,
    "has a client": ask_with_a_client_of_its_own,
}


def main(context: BaseContext, kind: str) -> None:
    if kind == "pool":
        with context.Pool(2, maxtasksperchild=3) as pool:
            pool.map(ask, range(20), chunksize=1)
            pool.close()
            pool.join()
    elif kind == "executor":
        with ProcessPoolExecutor(2, mp_context=context) as executor:
            list(executor.map(ask, range(20)))
    else:
        children = [context.Process(target=TASKS[kind], daemon=number == 1) for number in range(2)]  # type: ignore[attr-defined]
        for child in children:
            child.start()
        for child in children:
            child.join()


if __name__ == "__main__":
    if sys.argv[1] == "fork after a record":
        ask()
    main(multiprocessing.get_context(sys.argv[1].split()[0]), sys.argv[2])
