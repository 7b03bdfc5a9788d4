"""Checks that an example in Python uses public names of `chat_telemetry`, with arguments that they have."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import chat_telemetry

PACKAGE = chat_telemetry.__name__


def _names_in(module: Path) -> set[str]:
    """The public classes of a module. It is not imported, because it may need a package that is not installed."""
    classes = [node for node in ast.parse(module.read_text(encoding="utf-8")).body if isinstance(node, ast.ClassDef)]
    return {node.name for node in classes if not node.name.startswith("_")}


# The names that an example may import, by module.
PUBLIC = {PACKAGE: {*chat_telemetry.__all__, "__version__"}} | {
    f"{PACKAGE}.integrations.{path.stem}": _names_in(path)
    for path in (Path(chat_telemetry.__file__).parent / "integrations").glob("[!_]*.py")
}


def name_problems(module: ast.AST) -> Iterator[tuple[int, str]]:
    """Names and arguments that the package does not have, with the line, counted from 0."""
    for node in ast.walk(module):
        match node:
            case ast.Import(names=names):
                modules = [
                    name.name for name in names if name.name.split(".")[0] == PACKAGE and name.name not in PUBLIC
                ]
                yield from ((node.lineno - 1, f"{name} is not public") for name in modules)
            case ast.ImportFrom(module=str(source), names=names) if source.split(".")[0] == PACKAGE:
                unknown = [name.name for name in names if name.name not in PUBLIC.get(source, ())]
                yield from ((node.lineno - 1, f"{source} has no public name {name}") for name in unknown)
            case ast.Attribute(value=ast.Name(id="chat_telemetry"), attr=name) if name not in PUBLIC[PACKAGE]:
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
