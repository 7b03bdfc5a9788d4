"""Checks that a connection string to another machine verifies its certificate, because readers copy the examples."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tools.check_docs.page import Page, Problem

URL = re.compile(r"postgres(?:ql)?(?:\+\w+)?://(?P<address>[^\s/?'\"`]+)[^\s'\"`]*")
KEYWORDS = re.compile(r"\bhost=(?P<address>[\w.,:-]+).*")
LOCAL = re.compile(r"(?:[^@]*@)?(?:localhost|127\.0\.0\.1)?(?::\d+)?")
VERIFIES = "sslmode=verify-full"


def check_connections(page: Page) -> Iterator[Problem]:
    """Problems of the connection strings in a page's code."""
    for code in (*page.blocks, *page.inline_code):
        for number, message in _problems(code.content):
            yield page.problem(code.line + number, message)


def check_programs(root: Path) -> Iterator[Problem]:
    """Problems of those in the examples, and in the docstrings of the package."""
    for path in sorted((root / "examples").rglob("*.py")):
        for number, message in _problems(path.read_text(encoding="utf-8")):
            yield Problem(path.relative_to(root), number + 1, message)
    for path in sorted((root / "loader").rglob("*.py")):
        for line, docstring in _docstrings(path.read_text(encoding="utf-8")):
            for number, message in _problems(docstring):
                yield Problem(path.relative_to(root), line + number, message)


def _problems(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines()):
        for found in (*URL.finditer(line), *KEYWORDS.finditer(line)):
            if not LOCAL.fullmatch(found["address"]) and VERIFIES not in found[0]:
                yield number, f"{found[0]}: a connection to another machine needs {VERIFIES}"


def _docstrings(source: str) -> Iterator[tuple[int, str]]:
    """The texts that stand alone, which are those of attributes too, each with its line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value
