"""The conditions that stand between `and`s after WHERE, HAVING and the ON of a join."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tools.mutants.sql_tokens import JOIN, Language, Token

CONDITIONS = {"where", "having", JOIN}
# What ends a condition without beginning a clause.
JOIN_WORDS = {"inner", "left", "right", "full", "cross", "join"}


def conjuncts(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """The tokens of each condition that could be left out. A Jinja block ends it: it may not be all there."""
    for place, token in enumerate(tokens):
        if token.language == Language.JINJA or token.clause not in CONDITIONS:
            continue
        is_next = token.text == "and" and not token.is_range
        if is_next or token.text in CONDITIONS:
            found = list(_up_to_the_end(tokens, place))
            if found and found[0].text != "true":
                yield found


def _up_to_the_end(tokens: Sequence[Token], place: int) -> Iterator[Token]:
    opening = tokens[place]
    for token in tokens[place + 1 :]:
        if token.language == Language.JINJA:
            if token.text.startswith("{%") and token.depth == opening.depth:
                return
        elif token.depth < opening.depth or (token.depth == opening.depth and _ends(token, opening)):
            return
        yield token


def _ends(token: Token, opening: Token) -> bool:
    if token.kind == "word" and token.text in {"and", *JOIN_WORDS}:
        return not token.is_range
    return token.text == ";" or token.kind == "dollar" or token.clause != opening.clause
