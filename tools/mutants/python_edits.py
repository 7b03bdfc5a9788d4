"""The edits of a Python file.

Texts are never edited: what a log message or a docstring says is read by people. Annotations and decorators, debug
messages and `zip(strict=...)`, which asserts what cannot happen, are left alone too.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from itertools import accumulate, pairwise

from tools.mutants.mutant import Edit, other_number

NEVER_RAISED = "ZeroDivisionError"

COMPARISONS: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"),
    ast.IsNot: (r"is\s+not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: (r"not\s+in", "in"),
}
# Flipping one of these is the same as negating it.
NEGATED_BY_FLIPPING = (ast.Eq, ast.NotEq, ast.Is, ast.IsNot, ast.In, ast.NotIn)
OTHER_FUNCTION = {"min": "max", "max": "min"}
TEXTS = (ast.JoinedStr, ast.List, ast.Tuple)
SKIPPED_FIELDS = {"annotation", "returns", "decorator_list"}


class PythonFile:
    """A parsed file; places are offsets in its text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tree = ast.parse(text)
        # If one of these is dropped, every test that reads the attribute fails.
        self.first_assignments = {
            id(node)
            for function in ast.walk(self.tree)
            if isinstance(function, ast.FunctionDef) and function.name == "__init__"
            for node in function.body
        }
        self._lines = text.split("\n")
        self._starts = [0, *accumulate(len(line) + 1 for line in self._lines)]

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None  # noqa: S101 - every parsed node has an end
        assert node.end_col_offset is not None  # noqa: S101
        return self._offset(node.lineno, node.col_offset), self._offset(node.end_lineno, node.end_col_offset)

    def find(self, pattern: str, start: int, end: int) -> tuple[int, int]:
        """Where the pattern is between two places, comments left out."""
        found = next(m for m in re.finditer(rf"#.*|({pattern})", self.text[start:end]) if m[1])
        return start + found.start(1), start + found.end(1)

    def between(self, left: ast.expr, right: ast.expr, pattern: str) -> tuple[int, int]:
        """Where the operator is that stands between two operands."""
        return self.find(pattern, self.span(left)[1], self.span(right)[0])

    def _offset(self, line: int, byte: int) -> int:
        return self._starts[line - 1] + len(self._lines[line - 1].encode()[:byte].decode())


def python_edits(text: str, *, numbers: bool = True) -> Iterator[Edit]:
    """Every edit of a Python file; `numbers` False leaves its numbers alone."""
    file = PythonFile(text)
    for node in _code_in(file.tree):
        for operator in OPERATORS:
            if numbers or operator is not _number:
                yield from operator(file, node)


def _code_in(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below `node` that a test could tell something about."""
    for name, value in ast.iter_fields(node):
        if name in SKIPPED_FIELDS:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _is_skipped(child):
                yield child
                yield from _code_in(child)


def _is_skipped(node: ast.AST) -> bool:
    match node:
        case ast.JoinedStr():  # before Python 3.12 what is inside has no place of its own
            return True
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr="debug"))):
            return True
        case ast.keyword(arg="strict"):
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
    return False


def _comparison(file: PythonFile, node: ast.AST) -> Iterator[Edit]:
    if isinstance(node, ast.Compare):
        for operator, (left, right) in zip(node.ops, pairwise([node.left, *node.comparators]), strict=True):
            pattern, other = COMPARISONS[type(operator)]
            yield Edit(*file.between(left, right, pattern), other, "flipped comparison")


def _and_or(file: PythonFile, node: ast.AST) -> Iterator[Edit]:
    if isinstance(node, ast.BoolOp):
        word, other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in pairwise(node.values):
            yield Edit(*file.between(left, right, word), other, "and/or")


def _not(file: PythonFile, node: ast.AST) -> Iterator[Edit]:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield Edit(*file.find(r"not\s*", *file.span(node)), "", "dropped not")


def _number(file: PythonFile, node: ast.AST) -> Iterator[Edit]:
    match node:
        case ast.Constant(value=bool()):
            return
        case ast.Constant(value=int() | float() as number):
            yield Edit(*file.span(node), repr(other_number(number)), "other number")


def _plus_minus(file: PythonFile, node: ast.AST) -> Iterator[Edit]:
    match node:
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as operator, right=right):
            if not any(_is_text(operand) for operand in (left, right)):
                sign, other = ("+", "-") if isinstance(operator, ast.Add) else ("-", "+")
                yield Edit(*file.between(left, right, re.escape(sign)), other, "+/-")
        case ast.AugAssign(target=target, op=ast.Add() | ast.Sub() as operator, value=value) if not _is_text(value):
            sign, other = ("+=", "-=") if isinstance(operator, ast.Add) else ("-=", "+=")
            yield Edit(*file.between(target, value, re.escape(sign)), other, "+/-")


def _is_text(node: ast.expr) -> bool:
    """Whether - would fail on it whatever the tests are."""
    return isinstance(node, TEXTS) or (isinstance(node, ast.Constant) and isinstance(node.value, str | bytes))


def _min_max(file: PythonFile, node: ast.AST) -> Iterator[Edit]:
    match node:
        case ast.Call(func=ast.Name(id=("min" | "max") as name) as function):
            yield Edit(*file.span(function), OTHER_FUNCTION[name], "min/max")


def _dropped_statement(file: PythonFile, node: ast.AST) -> Iterator[Edit]:
    match node:
        case ast.Expr(value=ast.Yield() | ast.YieldFrom()):  # without it the function is no generator any more
            return
        case ast.Expr() | ast.Raise():
            yield Edit(*file.span(node), "pass", "dropped statement")
        case ast.Assign() | ast.AnnAssign() if id(node) in file.first_assignments:
            return
        case (
            ast.Assign(targets=[target]) | ast.AugAssign(target=target) | ast.AnnAssign(target=target, value=ast.expr())
        ):
            places = target.elts if isinstance(target, ast.Tuple) else [target]
            if any(isinstance(place, ast.Attribute | ast.Subscript) for place in places):
                yield Edit(*file.span(node), "pass", "dropped assignment")


def _negated_condition(file: PythonFile, node: ast.AST) -> Iterator[Edit]:
    match node:
        case ast.If(test=ast.UnaryOp(op=ast.Not())) | ast.IfExp(test=ast.UnaryOp(op=ast.Not())):
            return  # the same as without its `not`
        case ast.If(test=ast.Compare(ops=[operator])) | ast.IfExp(test=ast.Compare(ops=[operator])) if isinstance(
            operator, NEGATED_BY_FLIPPING
        ):
            return
        case ast.If(test=test) | ast.IfExp(test=test):
            start, end = file.span(test)
            yield Edit(start, end, f"not ({file.text[start:end]})", "negated condition")


def _return_none(file: PythonFile, node: ast.AST) -> Iterator[Edit]:
    match node:
        case ast.Return(value=None | ast.Constant(value=None | bool())):  # None is as false as False
            return
        case ast.Return():
            yield Edit(*file.span(node), "return None", "return None")


def _other_exception(file: PythonFile, node: ast.AST) -> Iterator[Edit]:
    match node:
        case ast.ExceptHandler(type=ast.Tuple(elts=caught)):
            pass
        case ast.ExceptHandler(type=ast.expr() as one):
            caught = [one]
        case ast.Call(func=ast.Attribute(attr="suppress") | ast.Name(id="suppress"), args=caught):
            pass
        case _:
            return
    for exception in caught:
        yield Edit(*file.span(exception), NEVER_RAISED, "other exception")


def _true_false(file: PythonFile, node: ast.AST) -> Iterator[Edit]:
    match node:
        case ast.Constant(value=bool() as value):
            yield Edit(*file.span(node), str(not value), "True/False")


OPERATORS: tuple[Callable[[PythonFile, ast.AST], Iterator[Edit]], ...] = (
    _comparison,
    _and_or,
    _not,
    _number,
    _plus_minus,
    _min_max,
    _dropped_statement,
    _negated_condition,
    _return_none,
    _other_exception,
    _true_false,
)
