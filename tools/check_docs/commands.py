"""Checks that `make` targets and the commands and options of `chat-telemetry` exist."""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import typer

from chat_telemetry._cli.app import app

TARGET = re.compile(r"^([a-z0-9][a-z0-9.-]*):(?!=)", re.MULTILINE)
ASSIGNMENT = re.compile(r"(\w+)=")
BEFORE_A_COMMAND = re.compile(r"\w+=.*|do|then|\$")
ENDS_A_COMMAND = re.compile(r"[();<>|&]+")


class Makefile(NamedTuple):
    """The targets of a Makefile, and its text, which reads the variables."""

    targets: frozenset[str]
    text: str


def read_makefile(root: Path) -> Makefile:
    text = (root / "Makefile").read_text(encoding="utf-8")
    return Makefile(frozenset(TARGET.findall(text)), text)


def command_problems(text: str, makefile: Makefile) -> Iterator[tuple[int, str]]:
    """The problems of the commands in `text`, each with its line, counted from 0."""
    for number, line in _logical_lines(text):
        for words in _commands(line):
            if words[0] == "make":
                yield from ((number, problem) for problem in _make_problems(words[1:], makefile))
            elif words[0] == "chat-telemetry":
                yield from ((number, problem) for problem in _cli_problems(words[1:]))


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines that end with a backslash are joined with the next one."""
    parts: list[str] = []
    for number, line in enumerate(text.splitlines()):
        parts.append(line.strip().removesuffix("\\"))
        if not line.endswith("\\"):
            yield number - len(parts) + 1, " ".join(part.strip() for part in parts)
            parts = []


def _commands(line: str) -> Iterator[list[str]]:
    """The words of each simple command on the line, without what stands before it (`VAR=1`, `do`, `$`)."""
    words: list[str] = []
    for word in [*_words(line), ";"]:
        if not ENDS_A_COMMAND.fullmatch(word):
            if words or not BEFORE_A_COMMAND.fullmatch(word):
                words.append(word)
        elif words:
            yield words
            words = []


def _words(line: str) -> list[str]:
    """The words of a line, without comments and without an explanation after two or more spaces."""
    command = re.split(r"\s{2,}", line, maxsplit=1)[0]
    try:
        lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        return list(lexer)
    except ValueError:  # quotes that continue on the next line, or an apostrophe in a text
        return command.split()


def _make_problems(words: list[str], makefile: Makefile) -> Iterator[str]:
    for word in words:
        variable = ASSIGNMENT.match(word)
        if variable and f"$({variable[1]})" not in makefile.text:
            yield f"make {word}: the Makefile reads no variable {variable[1]}"
        elif not variable and not word.startswith("-") and word not in makefile.targets:
            yield f"make {word}: no such target"


def _cli_problems(words: list[str]) -> Iterator[str]:
    """Names of commands and options only: arguments and values are placeholders as often as not."""
    options = cli_options()
    name = next((word for word in words if not word.startswith("-")), "")
    has_subcommands = any(known.startswith(f"{name} ") for known in options)
    if has_subcommands and len(words) > 1 and not words[1].startswith("-"):
        name = f"{name} {words[1]}"
    if name not in options:
        yield f"chat-telemetry {name}: no such command"
    if name not in options or name == "dbt":  # which passes everything on
        return
    for word in words:
        option = word.split("=", 1)[0]
        if option.startswith("-") and option != "-" and option not in options[name]:
            yield f"{' '.join(['chat-telemetry', name]).strip()} has no option {option}"


@functools.cache
def cli_options() -> dict[str, frozenset[str]]:
    """The options of each command, as `report` or `prices set`, `--help` included; those of the program under ""."""
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)  # noqa: S101
    program = group.make_context("chat-telemetry", [], resilient_parsing=True)
    contexts = {}
    for name, command in group.commands.items():
        contexts[name] = context = command.make_context(name, [], parent=program, resilient_parsing=True)
        for subcommand, each in getattr(command, "commands", {}).items():
            contexts[f"{name} {subcommand}"] = each.make_context(subcommand, [], parent=context, resilient_parsing=True)
    return {
        name: frozenset(
            option
            for parameter in context.command.get_params(context)
            for option in (*parameter.opts, *parameter.secondary_opts)
            if option.startswith("-")
        )
        for name, context in {"": program, **contexts}.items()
    }
