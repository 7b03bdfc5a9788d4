"""Checks that each code example parses in its language."""

from __future__ import annotations

import ast
import json
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import yaml
from sqlfluff.core import FluffConfig, Linter

from tools.check_docs.commands import Makefile, command_problems
from tools.check_docs.page import Page, Problem
from tools.check_docs.python_names import name_problems

# Takes the text of a block, and yields what is wrong with it and the line, counted from 0.
Parser = Callable[[str], Iterator[tuple[int, str]]]


def check_blocks(root: Path, page: Page, makefile: Makefile) -> Iterator[Problem]:
    """Problems of the page's code blocks, and of the commands that blocks without a language and inline code name."""
    parsers: dict[str, Parser] = {**PARSERS, "sql": partial(_sql_problems, root)}
    for block in page.blocks:
        parser = parsers.get(block.language or "")
        if parser:
            for number, message in parser(block.content):
                yield page.problem(block.line + number, message)
        elif block.language not in {None, "", "text"}:
            yield page.problem(block.line - 1, f"a block in {block.language!r}, for which there is no check")
    for code in (*page.blocks, *page.inline_code):
        if code.language in {None, "", "sh"}:
            for number, message in command_problems(code.content, makefile):
                yield page.problem(code.line + number, message)


def _python_problems(text: str) -> Iterator[tuple[int, str]]:
    try:
        module = compile(text, "example", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except SyntaxError as error:
        yield (error.lineno or 1) - 1, f"Python: {error.msg}"
        return
    yield from name_problems(module)


def _sql_problems(root: Path, text: str) -> Iterator[tuple[int, str]]:
    """By the dialect and the templater of the project's .sqlfluff."""
    parsed = Linter(config=FluffConfig.from_path(str(root))).parse_string(text)
    yield from ((problem.line_no - 1, f"SQL: {problem.desc()}") for problem in parsed.violations)


def _shell_problems(text: str) -> Iterator[tuple[int, str]]:
    checked = subprocess.run(["/bin/sh", "-n"], input=text, capture_output=True, text=True, check=False)
    if checked.returncode != 0:
        yield 0, f"sh: {checked.stderr.strip()}"


def _parsed_by(name: str, parse: Callable[[str], object]) -> Parser:
    def problems(text: str) -> Iterator[tuple[int, str]]:
        try:
            parse(text)
        except (ValueError, yaml.YAMLError) as error:
            yield 0, f"{name}: {' '.join(str(error).split())}"

    return problems


PARSERS: dict[str, Parser] = {
    "python": _python_problems,
    "sh": _shell_problems,
    "toml": _parsed_by("TOML", tomllib.loads),
    "yaml": _parsed_by("YAML", yaml.safe_load),
    "json": _parsed_by("JSON", json.loads),
}
