"""The statements that a migration, a function body or a macro would still run without."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tools.mutants.sql_tokens import Language, Token

# A statement that creates a table or a function is never dropped, because all its users would fail.
OF_A_FILE = {"alter", "delete", "drop", "grant", "insert", "revoke", "set", "truncate", "update"}
MADE_ASIDE = {"policy", "trigger", "index", "unique"}
OF_A_FUNCTION = {
    *OF_A_FILE,
    *("create", "execute", "exit", "get", "perform", "raise", "return", "select", "with"),
}
# After these, a statement of a function begins.
BEFORE_A_STATEMENT = {";", "begin", "else", "loop", "then"}


def droppable_statements(tokens: Sequence[Token]) -> Iterator[Sequence[Token]]:
    """The tokens of each, the semicolon included; of a Jinja `do`, the tag."""
    for place, token in enumerate(tokens):
        if token.language == Language.JINJA:
            if token.text == "do" and tokens[place - 1].text.startswith("{%"):
                end = next(i for i in range(place, len(tokens)) if tokens[i].text.endswith("%}"))
                yield tokens[place - 1 : end + 1]
            continue
        before = tokens[place - 1] if place else None
        if token.language == Language.PLPGSQL:
            begins = before is not None and before.text in BEFORE_A_STATEMENT
        else:
            begins = before is None or before.text == ";" or before.text.endswith("%}")
        if begins:
            statement = _statement(tokens, place)
            if statement and _is_droppable(statement, tokens[place + len(statement) :]):
                yield statement


def _statement(tokens: Sequence[Token], place: int) -> Sequence[Token]:
    """The tokens up to the semicolon; none if there is no such statement."""
    depth = tokens[place].depth
    for end in range(place, len(tokens)):
        token = tokens[end]
        if token.text == ";" and token.depth == depth:
            return tokens[place : end + 1]
        if token.depth < depth or token.kind == "dollar" or token.text.startswith("{%"):
            return []
    return []


def _is_droppable(statement: Sequence[Token], rest: Sequence[Token]) -> bool:
    words = [token.text for token in statement[:4]]
    if statement[0].language == Language.PLPGSQL:
        is_last = [token.text for token in rest[:1]] == ["end"] and rest[1].kind == "dollar"
        if words[0] == "return" and is_last:
            return False  # the function would end without a value
        is_assignment = words[1:2] == [":="] or words[1:4:2] == [".", ":="]
        return words[0] in OF_A_FUNCTION or is_assignment
    if words[:2] == ["set", "lock_timeout"]:
        return False
    is_made_aside = words[0] == "create" and not MADE_ASIDE.isdisjoint(words)
    return words[0] in OF_A_FILE or is_made_aside
