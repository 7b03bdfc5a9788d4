"""Checks that an example in Python uses public names of `chat_telemetry`, with arguments that they have."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator

import chat_telemetry

PACKAGE = chat_telemetry.__name__
PUBLIC = {*chat_telemetry.__all__, "__version__"}


def name_problems(module: ast.AST) -> Iterator[tuple[int, str]]:
    """Names and arguments that the package does not have, with the line, counted from 0."""
    for node in ast.walk(module):
        match node:
            case ast.Import(names=names):
                modules = [name.name for name in names if name.name.startswith(f"{PACKAGE}.")]
                yield from ((node.lineno - 1, f"{name} is not public") for name in modules)
            case ast.ImportFrom(module=str(source), names=names) if source.split(".")[0] == PACKAGE:
                unknown = [name.name for name in names if source != PACKAGE or name.name not in PUBLIC]
                yield from ((node.lineno - 1, f"{source} has no public name {name}") for name in unknown)
            case ast.Attribute(value=ast.Name(id="chat_telemetry"), attr=name) if name not in PUBLIC:
                yield node.lineno - 1, f"{PACKAGE} has no public name {name}"
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(value=ast.Name(id="chat_telemetry"), attr=name)):
                yield from ((node.lineno - 1, problem) for problem in _argument_problems(name, node))


def _argument_problems(name: str, call: ast.Call) -> Iterator[str]:
    called = getattr(chat_telemetry, name) if name in chat_telemetry.__all__ else None
    if called is None or called is chat_telemetry.TelemetryError:  # a class written in C has no signature
        return
    parameters = inspect.signature(called).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for keyword in call.keywords:
        if keyword.arg is not None and keyword.arg not in parameters:
            yield f"{name} has no argument {keyword.arg}"
