"""Checks that the commands exist that CI runs, in `.ci/run` and in the workflows of GitHub."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from tools.check_docs.commands import Makefile, command_problems
from tools.check_docs.page import Problem

SCRIPTS = (".ci/*",)
WORKFLOWS = (".github/workflows/*.yml", ".github/workflows/*.yaml")


def check_workflows(root: Path, makefile: Makefile) -> Iterator[Problem]:
    """Problems of the make targets and commands that CI calls. Lines of a workflow are those of its `run`."""
    for path in _found(root, SCRIPTS):
        for number, message in command_problems(path.read_text(encoding="utf-8"), makefile):
            yield Problem(path.relative_to(root), number + 1, message)
    for path in _found(root, WORKFLOWS):
        for line, command in _run_steps(yaml.compose(path.read_text(encoding="utf-8"))):
            for number, message in command_problems(command, makefile):
                yield Problem(path.relative_to(root), line + number, message)


def _found(root: Path, patterns: tuple[str, ...]) -> list[Path]:
    return sorted(path for pattern in patterns for path in root.glob(pattern))


def _run_steps(node: yaml.Node | None) -> Iterator[tuple[int, str]]:
    """Every `run:` below `node`, with the line on which its text begins."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == "run" and isinstance(value, yaml.ScalarNode):
                is_block = value.style in {"|", ">"}
                yield value.start_mark.line + 1 + is_block, value.value
            else:
                yield from _run_steps(value)
    elif isinstance(node, yaml.SequenceNode):
        for child in node.value:
            yield from _run_steps(child)
