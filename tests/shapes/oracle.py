"""The shape of an SQL text, computed from its tokens: what public.chat_telemetry_sql_shape has to return.

It shares no code with the SQL function, so that a mistake in one of them is a difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from tests.shapes.tokens import Token, tokens

LONGEST_TEXT = 100_000  # characters; what follows is not read
CUT = "…"
CONTROL_CHARACTERS = dict.fromkeys([*range(1, 9), *range(14, 32), 127], " ")
UPPER_CASE = {ord(letter): letter.lower() for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}  # PostgreSQL folds no others


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


RESERVED = _names(
    "all and any as between case check default distinct else except for from having ilike in intersect into is join"
    " lateral like limit not offset on only or returning select similar some symmetric then to union unique using when"
    " where with"
)
NO_TYPES = _names(
    "all distinct not select values with"
)  # words before a literal that do not make it a literal of a type
SPACED = _names("by conflict exists filter group key materialized order over set values")


class Word(NamedTuple):
    """One token of a shape, or a list in brackets with its members."""

    kind: str
    text: str


END = Word("end", "")
LITERAL = Word("literal", "?")  # not the operator ? of jsonb
COMMA, SEMICOLON, CAST, DOT = (Word("mark", text) for text in (",", ";", "::", "."))
OPEN, CLOSE, OPEN_BRACKET, CLOSE_BRACKET = (Word("mark", text) for text in "()[]")
SIZES = ([OPEN, LITERAL, CLOSE], [OPEN, LITERAL, COMMA, LITERAL, CLOSE])  # of the type of a cast: varchar(?)
ARRAY = [OPEN_BRACKET, CLOSE_BRACKET]
CAST_CALL = [Word("name", "cast"), OPEN, LITERAL, Word("name", "as")]
Words = Sequence[Word]


def _words(names: str) -> list[Word]:
    return [Word("name", name) for name in names.split()]


CONSTANTS = _words("true false null")
FIELDS = _words("year month day hour minute second")


def shape(text: str) -> str | None:
    """The text with ? for its literals, in one form. None if it has no token."""
    found = _written(shape_words(text))
    if len(text) > LONGEST_TEXT:
        return f"{found} {CUT}".lstrip()
    return found or None


def shape_words(text: str) -> list[Word]:
    """The tokens of the shape. Two texts share a shape if, and only if, these tokens are equal."""
    read = text[:LONGEST_TEXT].translate(CONTROL_CHARACTERS)
    words = [_word(token) for token in _without_signs(tokens(read))]
    while words and words[0] == SEMICOLON:
        del words[0]
    while words and words[-1] == SEMICOLON:
        del words[-1]
    return _with_lists_folded(_with_brackets_folded(words))


def _word(token: Token) -> Word:
    match token.kind:
        case "name":
            return Word("name", token.text.translate(UPPER_CASE))
        case "quoted name":
            return Word("quoted name", token.text.replace("U&", "u&", 1) if token.text.startswith("U") else token.text)
        case "operator" | "mark":
            return Word(token.kind, token.text)
        case _:
            return LITERAL


def _without_signs(read: Sequence[Token]) -> Iterable[Token]:
    """A sign belongs to the number after it if what stands before the sign cannot be an operand."""
    for before, token, after in zip([None, *read], read, [*read[1:], None], strict=False):
        is_sign = token.kind == "operator" and token.text in ("+", "-")
        if not (is_sign and after and after.kind == "number" and (before is None or _ends_no_operand(before))):
            yield token


def _ends_no_operand(token: Token) -> bool:
    match token.kind:
        case "operator":
            return True
        case "mark":
            return token.text in ("(", "[", ",", ";", ":", ":=")
        case "name":
            return token.text.translate(UPPER_CASE) in RESERVED
        case _:
            return False


# Reads one member of a list that begins at this position: the position after it, or None if there is no such member.
Reader = Callable[[Words, int], int | None]


def _at(words: Words, position: int) -> Word:
    return words[position] if position < len(words) else END


def _after_element(words: Words, position: int) -> int | None:
    """An element is a literal or a constant, with casts: ?, date ?, interval ? day, null::text, cast(? as int)."""
    prefixed = _after_type(words, position, SIZES[:1])
    if prefixed is not None and _at(words, prefixed) == LITERAL:
        position = prefixed
    if _at(words, position) == LITERAL:
        position += 1
        position += _at(words, position) in FIELDS
    elif _at(words, position) in CONSTANTS:
        position += 1
    else:
        inner = _after_type(words, position + 4, SIZES[:1]) if _begins(words, position, CAST_CALL) else None
        if inner is None or _at(words, inner) != CLOSE:
            return None
        position = inner + 1
    while _at(words, position) == CAST and (end := _after_type(words, position + 1, SIZES)) is not None:
        position = end
        while _begins(words, position, ARRAY):
            position += len(ARRAY)
    return position


def _after_type(words: Words, position: int, sizes: Sequence[Words]) -> int | None:
    """A type is a name, a name with its schema, or one of the types whose names are several words; with a size."""
    if _begins(words, position, _words("double precision")):
        return position + 2
    for name in ("character varying", "bit varying"):
        if _begins(words, position, _words(name)):
            return _after_size(words, position + 2, SIZES[:1])
    if _at(words, position) in _words("time timestamp"):
        sized = _after_size(words, position + 1, SIZES[:1])
        for zone in ("with time zone", "without time zone"):
            if _begins(words, sized, _words(zone)):
                return sized + 3
    if _at(words, position).kind != "name" or _at(words, position).text in NO_TYPES:
        return None
    position += 1
    while _at(words, position) == DOT and _at(words, position + 1).kind == "name":
        position += 2
    return _after_size(words, position, sizes)


def _after_size(words: Words, position: int, sizes: Sequence[Words]) -> int:
    return position + next((len(size) for size in sizes if _begins(words, position, size)), 0)


def _begins(words: Words, position: int, expected: Words) -> bool:
    return list(words[position : position + len(expected)]) == expected


def _after_row(words: Words, position: int) -> int | None:
    """A row is ( elements )."""
    if _at(words, position) != OPEN:
        return None
    _, position = _read_members(words, position + 1, _after_element)
    return position + 1 if _at(words, position) == CLOSE and words[position - 1] not in (OPEN, COMMA) else None


def _read_members(words: Words, position: int, after_member: Reader) -> tuple[list[Words], int]:
    """The members with commas between them, as many as there are, and the position after the last one."""
    members: list[Words] = []
    end = after_member(words, position)
    while end is not None:
        members.append(tuple(words[position:end]))
        if _at(words, end) != COMMA:
            return members, end
        position, end = end + 1, after_member(words, end + 1)
    return members, position - bool(members)


def _folded(members: list[Words]) -> Iterable[Word]:
    """Adjacent members that are equal become one."""
    for number, (member, _) in enumerate(groupby(members)):
        yield from [COMMA, *member] if number else member


def _ends(words: Words, position: int) -> bool:
    """Whether the text ends here, perhaps after a comma: a list that was cut."""
    return position + (_at(words, position) == COMMA) == len(words)


def _after_list_member(words: Words, position: int) -> int | None:
    return position + 1 if _at(words, position).kind == "list" else _after_element(words, position)


def _with_brackets_folded(words: Words) -> list[Word]:
    """[1, 2] becomes [?], anywhere. The members of such a list are elements or lists of the same kind."""
    done: list[Word] = []
    opened: list[int] = []
    for word in words:
        if word == OPEN_BRACKET:
            opened.append(len(done))
        done.append(word)
        if word == CLOSE_BRACKET and opened:
            start = opened.pop()
            members, end = _read_members(done, start + 1, _after_list_member)
            if members and end == len(done) - 1:
                done[start:] = [Word("list", f"[{_written([*_folded(members)])}]")]
    for start in reversed(opened):
        members, end = _read_members(done, start + 1, _after_list_member)
        if members and _ends(done, end):
            done[start + 1 : end] = _folded(members)
    return done


def _with_lists_folded(words: Words) -> list[Word]:
    """IN (1, 2) becomes in (?), IN ((1, 2), (3, 4)) becomes in ((?, ?)), and VALUES (1, 2), (3, 4) values (?, ?)."""
    done: list[Word] = []
    position = 0
    while position < len(words):
        members: list[Words] = []
        done.append(words[position])
        position += 1
        if done[-1] == ("name", "values"):
            members, end = _read_members(words, position, _after_row)
        elif done[-1] == ("name", "in") and _at(words, position) == OPEN:
            done.append(OPEN)
            position += 1
            for reader in (_after_element, _after_row):
                members, end = _read_members(words, position, reader)
                if members and (_at(words, end) == CLOSE or (reader is _after_element and _ends(words, end))):
                    break
                members = []
        if members:
            done.extend(_folded(members))
            position = end
    return done


def _written(words: Words) -> str:
    """The words with one space or nothing between them."""
    pairs = zip([END, *words], words, strict=False)
    return "".join(f"{'' if _joined(before, word) else ' '}{word.text}" for before, word in pairs)


def _joined(before: Word, word: Word) -> bool:
    if before == END:
        return True
    if before.kind == "mark" and before.text in ("(", "[", ".", "..", "::", ":"):
        return not _would_be_another_token(before, word)
    if word == OPEN:
        return before.kind == "quoted name" or (before.kind == "name" and before.text not in RESERVED | SPACED)
    if word == OPEN_BRACKET or word.kind == "list":
        is_spaced = before.kind == "operator" or before.text in (",", ":=") or before.text in RESERVED | SPACED
        return not is_spaced
    return word.kind == "mark" and word.text in (")", "]", ",", ";", ".", "..", "::")


def _would_be_another_token(before: Word, word: Word) -> bool:
    """Whether two marks, written without a space, would be read as other ones: `. .` as `..` and `: =` as `:=`."""
    return (before.text == "." and word.text[0] == ".") or (before.text == ":" and word.text[0] in ":=")
