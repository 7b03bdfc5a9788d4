"""SQL texts of many dialects: the fixtures and the strings of sqlglot's tests, from its source distribution."""

from __future__ import annotations

import ast
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

DIRECTORY = Path(__file__).parents[2] / ".venv" / "corpus"


def texts() -> list[str]:
    """Each text once, in the order of the archive. The order is the same in each run."""
    archives = [*DIRECTORY.glob("sqlglot-*.tar.gz")]
    if len(archives) != 1:
        raise FileNotFoundError(f"expected one sqlglot-*.tar.gz in {DIRECTORY}: run `make test-shapes`")
    found = (text for name, content in _files(archives[0]) for text in _texts_of(name, content))
    # PostgreSQL stores no NUL.
    return [*dict.fromkeys(text for text in found if text.strip() and "\0" not in text)]


def _files(archive: Path) -> Iterator[tuple[str, str]]:
    with tarfile.open(archive) as opened:
        for member in opened:
            content = opened.extractfile(member)
            if content and re.search(r"/tests/.*\.(sql|py)$", member.name):
                yield member.name, content.read().decode()


def _texts_of(name: str, content: str) -> Iterator[str]:
    if name.endswith(".sql"):
        # A file without blank lines has one statement on each line.
        blocks = re.split(r"\n\s*\n", content.strip())
        yield from blocks if len(blocks) > 1 else content.splitlines()
    elif "/dialects/" in name:
        yield from _strings_in_calls(ast.parse(content))


def _strings_in_calls(tree: ast.Module) -> Iterator[str]:
    """What is passed to validate_identity, validate_all and others: strings, and the values of dictionaries."""
    for call in ast.walk(tree):
        if isinstance(call, ast.Call):
            for argument in [*call.args, *(keyword.value for keyword in call.keywords)]:
                values = argument.values if isinstance(argument, ast.Dict) else [argument]
                for value in values:
                    if isinstance(value, ast.Constant) and isinstance(value.value, str):
                        yield value.value
