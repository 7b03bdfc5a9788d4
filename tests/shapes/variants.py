"""Other forms of an SQL text that have to share its shape.

A variant returns its text unchanged where it finds nothing to change. A change that makes other tokens, as a line end
between two strings makes one string of them, is none of form: `tried` leaves it out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from tests.shapes.oracle import RESERVED
from tests.shapes.tokens import Token, tokens

# Before these a sign belongs to a number. Rule by rule like the oracle's, but on the text alone.
BEFORE_NUMBERS = frozenset(["(", "[", ",", "=", "<", ">", "<=", ">=", "<>", "!=", "*", "/", "%", "||", "=>", ":="])
LITERALS = frozenset(["number", "string", "dollar string"])
Variant = Callable[[str, Sequence[Token]], str]
