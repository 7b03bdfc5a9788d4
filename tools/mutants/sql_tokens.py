"""Tokens of a SQL file: of a migration with its function bodies, or of a dbt model or macro with its Jinja.

No parser reads a file that is half Jinja and half SQL without rendering it, and what is rendered has no place in the
file any more. The edits need no tree: they look at a few tokens and at the clause that these stand in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

# The first alternative that fits wins: a comment beats a minus, and what is quoted is one token.
LEXER = re.compile(
    r"""
      (?P<space>    \s+ )
    | (?P<comment>  --[^\n]* | /\*.*?\*/ | \{\#.*?\#\} )
    | (?P<text>     [eE]'(?:[^'\\]|\\.|'')*' | '(?:\{\{.*?\}\}|[^']|'')*' )
    | (?P<name>     "[^"]*" )
    | (?P<jinja>    \{\{-? | \{%[-+]? | -?\}\} | [-+]?%\} )
    | (?P<dollar>   \$[A-Za-z_]*\$ )
    | (?P<number>   \d+(?:\.\d+)?(?:[eE][-+]?\d+)? )
    | (?P<word>     [A-Za-z_][A-Za-z0-9_]* )
    | (?P<symbol>   <=|>=|<>|!=|==|=>|:=|::|\|\||\.\.|->>?|. )
    """,
    re.VERBOSE | re.DOTALL,
)
# Words after which other rules hold, up to the next one between the same parentheses.
CLAUSES = {
    *("begin", "check", "else", "elsif", "except", "for", "from", "group", "having", "if", "intersect", "into"),
    *("limit", "loop", "order", "returning", "select", "set", "then", "union", "using", "values", "when", "where"),
    *("window", "with"),
}
JOIN = "on"


class Language(StrEnum):
    """What a token is written in."""

    SQL = "sql"
    PLPGSQL = "plpgsql"
    JINJA = "jinja"


@dataclass
class Level:
    """What is open at a place: the file, a function body, a parenthesis or a CASE."""

    opened_by: str
    clause: str = ""
    is_between: bool = False
    """A BETWEEN waits for its AND."""
    is_join: bool = False
    """A JOIN waits for its ON."""


@dataclass(frozen=True)
class Token:
    """A word, number, text or symbol; spaces and comments are none."""

    kind: str
    text: str
    """In lower case, unless it is quoted."""
    start: int
    end: int
    language: Language
    clause: str
    """The last word of CLAUSES before it at its level, or `on` of a join, or `:=`; that word itself included."""
    depth: int
    """How many parentheses, CASEs and function bodies it is in."""
    is_range: bool
    """Whether it is the AND of a BETWEEN."""


def tokens_of(text: str) -> list[Token]:
    return list(_Reader(text).read())


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._levels = [Level("")]
        self._body = Language.SQL
        self._in_jinja = False
        self._statement: list[str] = []

    def read(self) -> Iterator[Token]:
        for match in LEXER.finditer(self._text):
            kind = str(match.lastgroup)
            if kind in {"space", "comment"}:
                continue
            text = match[0] if kind in {"text", "name", "dollar"} else match[0].lower()
            is_range = False
            if kind == "jinja":
                self._in_jinja = text.startswith("{")
            elif not self._in_jinja:
                is_range = text == "and" and self._levels[-1].is_between
                self._note(kind, text)
            language = Language.JINJA if self._in_jinja or kind == "jinja" else self._body
            level = self._levels[-1]
            # What closes a level belongs to the level around it, as what opens one does.
            depth = len(self._levels) - 1 - (text in {"(", "[", "case"} and language != Language.JINJA)
            yield Token(kind, text, match.start(), match.end(), language, level.clause, depth, is_range)

    def _note(self, kind: str, text: str) -> None:
        """See what the token opens, closes or begins."""
        if kind == "dollar":
            self._enter_or_leave_body(text)
        elif kind == "symbol":
            self._note_symbol(text)
        elif kind == "word":
            is_distinct_from = text == "from" and self._statement[-1:] == ["distinct"]
            self._statement.append(text)
            if not is_distinct_from:
                self._note_word(text)

    def _note_symbol(self, text: str) -> None:
        level = self._levels[-1]
        if text in {"(", "["}:
            self._levels.append(Level(text, level.clause))
        elif text in {")", "]"}:
            self._leave("(", "[")
        elif text == ";":
            self._levels[-1] = Level(level.opened_by)
            if self._body == Language.SQL:
                self._statement = []
        elif text == ":=":
            level.clause = text

    def _note_word(self, text: str) -> None:
        level = self._levels[-1]
        if text == "case":
            self._levels.append(Level(text, level.clause))
        elif text == "end" and level.opened_by == "case":
            self._leave("case")
        elif text == "between" or (text == "and" and level.is_between):
            level.is_between = text == "between"
        elif text == "join":
            level.is_join = True
        elif text == JOIN and level.is_join:
            level.clause, level.is_join = JOIN, False
        elif text in CLAUSES:
            level.clause = text

    def _leave(self, *opened_by: str) -> None:
        # A macro may close what another one opened.
        if self._levels[-1].opened_by in opened_by:
            self._levels.pop()

    def _enter_or_leave_body(self, quote: str) -> None:
        for place, level in enumerate(self._levels):
            if level.opened_by == quote:
                del self._levels[place:]
                self._body = Language.SQL
                return
        is_plpgsql = self._statement[:1] == ["do"] or "plpgsql" in self._statement
        self._body = Language.PLPGSQL if is_plpgsql else Language.SQL
        self._levels.append(Level(quote))
