"""A chat process under load that tests kill. It reports on stdout which records it tries and which were accepted.

Its one argument is a `Plan` in JSON. It stops at the end of stdin, unless the plan limits the number of records.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import resource
import sys
import threading
from typing import Any
from uuid import UUID, uuid4

import msgspec

from chat_telemetry import TelemetryClient, TelemetryRecord


class Plan(msgspec.Struct, kw_only=True):
    """What one process does."""

    dsn: str
    user_id: UUID
    settings: dict[str, Any]
    threads: int = 1
    tasks: int = 0
    """Tasks of asyncio, instead of threads."""
    records: int = 0
    """For each thread or task. 0: as many as it can until the end of stdin."""
    invalid: int = 0
    """How many records of a user that does not exist it persists first."""
    forks: int = 0
    """Forked children that persist records too, and end without exit hooks, like those of multiprocessing."""
    spawns: int = 0
    pause: float = 0.001
    close_timeout: float = 120.0
    closes: bool = True
    file_size_limit: int = 0
    """In bytes. For the journal, a file of this size is a full disk. 0: no limit."""


def report(event: str, value: object) -> None:
    """In one write, so that a kill leaves whole lines."""
    os.write(1, f"{event} {value}\n".encode())


def main(plan: Plan) -> None:
    if plan.file_size_limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (plan.file_size_limit, resource.RLIM_INFINITY))
    client = TelemetryClient(plan.dsn, **plan.settings)
    stop = threading.Event()
    if not plan.records:
        threading.Thread(target=stop_at_end_of_stdin, args=[stop], daemon=True).start()
    for _ in range(plan.invalid):
        ask(client, plan, uuid4())
    if plan.forks or plan.spawns:
        ask(client, plan, plan.user_id)
    children = [fork(client, plan) for _ in range(plan.forks)]
    spawned = [
        multiprocessing.get_context("spawn").Process(target=run_spawned_child, args=[plan]) for _ in range(plan.spawns)
    ]
    for process in spawned:
        process.start()
    if plan.tasks:
        asyncio.run(chat_in_tasks(client, plan, stop))
    else:
        chat_in_threads(client, plan, stop)
    for child in children:
        os.waitpid(child, 0)
    for process in spawned:
        process.join()
    if plan.closes:
        client.close(plan.close_timeout)
        report("stats", msgspec.json.encode(client.stats()).decode())


def stop_at_end_of_stdin(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


def ask(client: TelemetryClient, plan: Plan, user_id: UUID) -> None:
    record = TelemetryRecord(user_id=user_id, user_question="How many orders?", ai_response="Twelve. " * 60)
    report("trying" if user_id == plan.user_id else "invalid", record.log_id)
    if client.persist(record):
        report("accepted", record.log_id)


def chat(client: TelemetryClient, plan: Plan, stop: threading.Event) -> None:
    made = 0
    while not stop.is_set() and not (plan.records and made == plan.records):
        ask(client, plan, plan.user_id)
        made += 1
        stop.wait(plan.pause)


def chat_in_threads(client: TelemetryClient, plan: Plan, stop: threading.Event) -> None:
    threads = [threading.Thread(target=chat, args=(client, plan, stop)) for _ in range(plan.threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


async def chat_in_tasks(client: TelemetryClient, plan: Plan, stop: threading.Event) -> None:
    async def one() -> None:
        made = 0
        while not stop.is_set() and not (plan.records and made == plan.records):
            ask(client, plan, plan.user_id)
            made += 1
            await asyncio.sleep(plan.pause)

    await asyncio.gather(*(one() for _ in range(plan.tasks)))


def fork(client: TelemetryClient, plan: Plan) -> int:
    child = os.fork()
    if child == 0:
        chat(client, msgspec.structs.replace(plan, records=100), threading.Event())
        os._exit(0)
    return child


def run_spawned_child(plan: Plan) -> None:
    chat(TelemetryClient(plan.dsn, **plan.settings), msgspec.structs.replace(plan, records=100), threading.Event())
    os._exit(0)


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1], type=Plan))
