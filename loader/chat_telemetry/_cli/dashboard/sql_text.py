"""SQL that a model wrote, formatted and with coloured keywords, strings and comments."""

from __future__ import annotations

from contextlib import suppress
from itertools import groupby

import sqlparse
from markupsafe import Markup, escape
from pygments.lexers import PostgresLexer
from pygments.token import Comment, Keyword, String, _TokenType
from sqlparse.exceptions import SQLParseError

from chat_telemetry._cli.bi.reading import LONGEST_SQL
from chat_telemetry._cli.bi.text import visible

# Pygments' own formatter makes an element of each token, which makes the longest texts 48 kB.
COLOURS = {Keyword: "q-key", String: "q-text", Comment: "q-note"}
_lexer = PostgresLexer(stripnl=False, ensurenl=False)


def formatted(sql: str, length: int) -> Markup:
    """The beginning of a text with this length. Text that is cut or nested too deeply is not formatted."""
    shown = visible(sql[:LONGEST_SQL], LONGEST_SQL)
    if length <= LONGEST_SQL and len(shown) <= LONGEST_SQL:
        with suppress(SQLParseError, RecursionError):
            shown = sqlparse.format(shown, reindent=True)
    more = Markup('\n<span class="q-note">… and {} more characters</span>').format(f"{length - LONGEST_SQL:,}")
    return _coloured(shown) + (more if length > LONGEST_SQL else "")


def _coloured(sql: str) -> Markup:
    runs = groupby(_lexer.get_tokens(sql), key=lambda token: _colour(token[0]))
    parts = [(colour, "".join(text for _, text in run)) for colour, run in runs]
    return Markup("").join(
        Markup('<span class="{}">{}</span>').format(colour, part) if colour else escape(part) for colour, part in parts
    )


def _colour(token: _TokenType) -> str:
    return next((colour for kind, colour in COLOURS.items() if token in kind), "")
