"""A tokenizer with the lexical rules of PostgreSQL 16: section 4.1 of its manual, and its scanner, scan.l.

It reads every text, also one that PostgreSQL rejects: what is not closed goes on to the end of the text, and a number
ends where its digits end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple, cast

Kind = Literal[
    "name", "quoted name", "unclosed name", "string", "dollar string", "number", "parameter", "operator", "mark"
]


class Token(NamedTuple):
    """One token as it is written. `start` is its position in the text."""

    kind: Kind
    text: str
    start: int = 0

    @property
    def end(self) -> int:
        return self.start + len(self.text)


# Possessive repetition (*+) makes each pattern linear: nothing that was read is read again.
DIGITS = r"[0-9](?:_?[0-9])*+"
NAME = r"[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]*+"
TAG = r"[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_\x80-\U0010ffff]*+"
# A string goes on after white space that has a line end. A comment in it has to end in a line end as well, or to stand
# before the first one.
GAP = r"(?:[ \t\f\v]|--[^\n\r]*+)*+[\n\r](?:[ \t\n\r\f\v]|--[^\n\r]*+[\n\r])*+"


def _string(prefix: str, body: str) -> str:
    return rf"{prefix}'(?:{body})*+(?:'(?:{GAP}'(?:{body})*+(?:'|\Z))*+|\Z)"


# The order matters: the first pattern that fits is taken.
PATTERNS = {
    "space": r"[ \t\n\r\f\v]++|--[^\n\r]*+",
    "block comment": r"/\*",
    "string": "|".join(
        [
            _string("[eE]", r"[^\\']|''|\\(?s:.)|\\\Z"),
            _string("[bBxX]", r"[^']"),  # it has no doubled quotes: b'1''0' is two strings
            _string("(?:[nN]|[uU]&)?", r"[^']|''"),
        ]
    ),
    "dollar string": rf"(?P<delimiter>\$(?:{TAG})?\$)(?s:.)*?(?:(?P=delimiter)|\Z)",
    "parameter": r"\$[0-9]++",
    "number": "|".join(
        [
            "0[xX](?:_?[0-9A-Fa-f])++",
            "0[oO](?:_?[0-7])++",
            "0[bB](?:_?[01])++",
            # 1..2 is no 1. but a number, two dots and a number.
            rf"(?:{DIGITS}\.(?!\.)(?:{DIGITS})?|\.{DIGITS}|{DIGITS})(?:[eE][-+]?{DIGITS})?",
        ]
    ),
    "quoted name": r'(?:[uU]&)?"(?:[^"]|"")*+"',
    "unclosed name": r'(?:[uU]&)?"(?s:.)*+',
    "name": NAME,
    "operator": r"[~!@#^&|`?+\-*/%<>=]++",
    "mark": r"::|:=|\.\.|(?s:.)",
}
TOKEN = re.compile("|".join(f"(?P<{kind.replace(' ', '_')}>{pattern})" for kind, pattern in PATTERNS.items()))
COMMENT_MARK = re.compile(r"/\*|\*/")
COMMENT_BEGIN = re.compile(r"/\*|--")
ONLY_IN_OPERATORS_OF_POSTGRES = frozenset("~!@#%^&|`?")


def tokens(text: str) -> list[Token]:
    """The tokens of an SQL text without white space and comments.

    Two numbers or two parameters with nothing between them are one: 1.5.3, 0o18, $1$2. The scanner reads two, which no
    statement can have.
    """
    read: list[Token] = []
    for token in scanned(text):
        before = read[-1] if read else None
        if before and before.kind == token.kind in ("number", "parameter") and before.end == token.start:
            read[-1] = Token(token.kind, before.text + token.text, before.start)
        else:
            read.append(token)
    return read


def scanned(text: str) -> Iterator[Token]:
    """The tokens as PostgreSQL's scanner finds them if standard_conforming_strings is on."""
    position = 0
    while match := TOKEN.match(text, position):
        kind = cast("str", match.lastgroup).replace("_", " ")
        end = match.end()
        if kind == "block comment":
            end = _end_of_block_comment(text, position)
        elif kind == "operator":
            end = position + _length_of_operator(match.group())
        if kind not in ("space", "block comment"):
            yield Token(cast("Kind", kind), text[position:end], position)
        position = end


def _end_of_block_comment(text: str, start: int) -> int:
    """Comments nest. One that is not closed goes on to the end of the text."""
    depth = 0
    for mark in COMMENT_MARK.finditer(text, start):
        depth += 1 if mark.group() == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(text)


def _length_of_operator(run: str) -> int:
    """How many of these characters are one operator. A comment ends it.

    An operator of several characters ends in + or - only if it has a character that no operator of the SQL standard
    has: =- is two operators, @- is one.
    """
    comment = COMMENT_BEGIN.search(run)
    operator = run[: comment.start()] if comment else run
    if ONLY_IN_OPERATORS_OF_POSTGRES.isdisjoint(operator):
        operator = operator[0] + operator[1:].rstrip("+-")
    return len(operator)
