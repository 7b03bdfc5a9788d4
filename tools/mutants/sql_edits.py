"""The edits of a SQL file: a migration, a dbt model, macro or test.

Texts are never edited, so dynamic SQL is dropped as a whole statement or not at all. Storage parameters are left alone:
they are tuning, which no test measures. `comment on` is text. squawk refuses a migration without `set lock_timeout`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import takewhile

from tools.mutants.mutant import Edit, other_number
from tools.mutants.sql_conjuncts import conjuncts
from tools.mutants.sql_statements import droppable_statements
from tools.mutants.sql_tokens import Language, Token, tokens_of

COMPARISONS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "=": "<>", "<>": "=", "!=": "="}
JINJA_COMPARISONS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}
AND_OR = {"and": "or", "or": "and"}
# After these words, and before the first clause, = sets a value and compares nothing.
ASSIGNING = {"", "set", "using", "with"}
OTHER_FUNCTION = {
    "min": "max",
    "max": "min",
    "greatest": "least",
    "least": "greatest",
    "floor": "ceil",
    "ceil": "floor",
    "bool_or": "bool_and",
    "bool_and": "bool_or",
}
OTHER_JOIN = {"inner": "left", "left": "inner", "full": "left"}
OTHER_WORD = {"asc": "desc", "desc": "asc", "true": "false", "false": "true"}
FIRST_OF = {"coalesce", "nullif"}
# `create or replace`, `insert or update`: no condition.
EVENTS = {"replace", "insert", "update", "delete", "truncate"}
NOTHING = Token("", "", 0, 0, Language.SQL, "", 0, is_range=False)


class SqlFile:
    """The text of a file and its tokens."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokens_of(text)

    def at(self, place: int) -> Token:
        """The token, or one without text beyond either end."""
        return self.tokens[place] if 0 <= place < len(self.tokens) else NOTHING

    def words(self, place: int, count: int) -> list[str]:
        return [self.at(place + further).text for further in range(count)]

    def find(self, text: str, depth: int, start: int) -> Token:
        """The first token from `start` on with this text at this depth."""
        return next((t for t in self.tokens[start:] if t.text == text and t.depth == depth), NOTHING)


def sql_edits(text: str) -> Iterator[Edit]:
    """Every edit of a SQL file."""
    file = SqlFile(text)
    for place in _mutable(file):
        for operator in OPERATORS:
            yield from operator(file, place)
    for condition in conjuncts(file.tokens):
        yield Edit(condition[0].start, condition[-1].end, "true", "dropped condition")
    for statement in droppable_statements(file.tokens):
        in_function = statement[0].language == Language.PLPGSQL
        yield Edit(statement[0].start, statement[-1].end, "null;" if in_function else "", "dropped statement")


def _mutable(file: SqlFile) -> Iterator[int]:
    """The places of the tokens outside of `comment on`."""
    is_comment = False
    for place, token in enumerate(file.tokens):
        if file.words(place, 2) == ["comment", "on"]:
            is_comment = True
        if not is_comment:
            yield place
        if token.text == ";":
            is_comment = False


def _comparison(file: SqlFile, place: int) -> Iterator[Edit]:
    token = file.at(place)
    if token.kind != "symbol":
        return
    others = JINJA_COMPARISONS if token.language == Language.JINJA else COMPARISONS
    if token.text in others and not (token.text == "=" and token.clause in ASSIGNING):
        yield Edit(token.start, token.end, others[token.text], "flipped comparison")


def _is_null(file: SqlFile, place: int) -> Iterator[Edit]:
    start = file.at(place).start
    match file.words(place, 4):
        case ["is", "not", "distinct", "from"]:
            yield Edit(start, file.at(place + 3).end, "=", "distinct from")
        case ["is", "distinct", "from", _]:
            yield Edit(start, file.at(place + 2).end, "<>", "distinct from")
        case ["is", "not", "null" | "none", _]:
            yield Edit(start, file.at(place + 1).end, "is", "flipped comparison")
        case ["is", "null" | "none", _, _]:
            yield Edit(start, file.at(place).end, "is not", "flipped comparison")


def _and_or(file: SqlFile, place: int) -> Iterator[Edit]:
    token = file.at(place)
    is_condition = token.kind == "word" and not token.is_range and file.at(place + 1).text not in EVENTS
    if is_condition and token.text in AND_OR:
        yield Edit(token.start, token.end, AND_OR[token.text], "and/or")


def _not(file: SqlFile, place: int) -> Iterator[Edit]:
    token, after = file.at(place), file.at(place + 1)
    if token.kind != "word" or token.text != "not" or file.at(place - 1).text == "is":
        return
    if after.text == "null":
        if not _is_of_the_key(file, place):
            yield Edit(token.start, after.end, "", "dropped not null")
    elif not (file.at(place - 1).text == "if" and token.language == Language.SQL):  # `if not exists`
        yield Edit(token.start, after.start, "", "dropped not")


def _is_of_the_key(file: SqlFile, place: int) -> bool:
    """Whether the column, whose definition holds `place`, is in the primary key of its table: never null anyway."""
    depth = file.at(place).depth
    before = list(takewhile(lambda t: t.depth > depth or (t.depth == depth and t.text != ","), file.tokens[place::-1]))
    for key in range(place, len(file.tokens)):
        if file.at(key).depth < depth:
            break
        if file.words(key, 3) == ["primary", "key", "("]:
            return before[-1].text in {t.text for t in takewhile(lambda t: t.text != ")", file.tokens[key + 3 :])}
    return False


def _in(file: SqlFile, place: int) -> Iterator[Edit]:
    token = file.at(place)
    if token.text == "in" and file.at(place + 1).text in {"(", "["} and file.at(place - 1).text != "not":
        yield Edit(token.start, token.start, "not ", "flipped comparison")


def _number(file: SqlFile, place: int) -> Iterator[Edit]:
    token = file.at(place)
    if token.kind == "number" and token.clause != "with":
        number = float(token.text) if set(token.text) & set(".e") else int(token.text)
        yield Edit(token.start, token.end, str(other_number(number)), "other number")


def _plus_minus(file: SqlFile, place: int) -> Iterator[Edit]:
    token = file.at(place)
    if token.kind == "symbol" and token.text in {"+", "-"} and token.clause != "with":
        yield Edit(token.start, token.end, "-" if token.text == "+" else "+", "+/-")


def _other_function(file: SqlFile, place: int) -> Iterator[Edit]:
    token = file.at(place)
    if token.text in OTHER_FUNCTION and (file.at(place + 1).text == "(" or file.at(place - 1).text == "|"):
        yield Edit(token.start, token.end, OTHER_FUNCTION[token.text], "other function")


def _join(file: SqlFile, place: int) -> Iterator[Edit]:
    token = file.at(place)
    if token.text in OTHER_JOIN and file.at(place + 1).text == "join":
        yield Edit(token.start, token.end, OTHER_JOIN[token.text], "other join")


def _set_operation(file: SqlFile, place: int) -> Iterator[Edit]:
    token, after = file.at(place), file.at(place + 1)
    if token.text in {"union", "except", "intersect"}:
        if after.text == "all":
            yield Edit(token.start, after.end, token.text, "with/without all")
        else:
            yield Edit(token.start, token.end, f"{token.text} all", "with/without all")


def _distinct(file: SqlFile, place: int) -> Iterator[Edit]:
    token, after = file.at(place), file.at(place + 1)
    if token.text == "distinct" and after.text not in {"from", "on"}:
        yield Edit(token.start, after.start, "", "dropped distinct")


def _first_argument(file: SqlFile, place: int) -> Iterator[Edit]:
    token, opening = file.at(place), file.at(place + 1)
    if token.text in FIRST_OF and opening.text == "(" and token.language != Language.JINJA:
        comma = file.find(",", opening.depth + 1, place)
        closing = file.find(")", opening.depth, place)
        if comma.start < closing.start:
            first = file.text[opening.end : comma.start].strip()
            yield Edit(token.start, closing.end, f"({first})", "first argument")


def _other_word(file: SqlFile, place: int) -> Iterator[Edit]:
    token = file.at(place)
    if token.kind == "word" and token.text in OTHER_WORD:
        yield Edit(token.start, token.end, OTHER_WORD[token.text], "other word")


OPERATORS: tuple[Callable[[SqlFile, int], Iterator[Edit]], ...] = (
    _comparison,
    _is_null,
    _and_or,
    _not,
    _in,
    _number,
    _plus_minus,
    _other_function,
    _join,
    _set_operation,
    _distinct,
    _first_argument,
    _other_word,
)
