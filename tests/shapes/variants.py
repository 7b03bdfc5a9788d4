"""Other texts with the shape of a text: the same tokens in another form, or other literals.

A change gets the tokens of a text, each with the white space and comments before it, and yields those of the variant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from random import Random

from tests.shapes.oracle import RESERVED
from tests.shapes.tokens import Token, tokens

SPACES = " \t\n\r\f\v"
LITERALS = frozenset(["number", "string", "dollar string", "parameter"])
SIGN_FOLLOWS = RESERVED | {"(", "[", ",", ";", ":", ":="}
START = Token("mark", "(")  # what the first token follows: a sign can stand there as after a (
Pieces = Sequence[tuple[str, Token]]
Change = Callable[[Pieces], Iterable[tuple[str, str]]]


def variant(text: str, change: Change) -> str | None:
    """None if nothing changes, or if other tokens come out: a line end between two strings makes one of them."""
    read = tokens(text)
    ends = [0, *(token.end for token in read)]
    changed = list(change([(text[end : token.start], token) for end, token in zip(ends, read, strict=False)]))
    result = "".join(gap + token for gap, token in changed) + text[ends[-1] :]
    is_as_meant = result != text and [token.text for token in tokens(result)] == [token for _, token in changed]
    return result if is_as_meant else None


def other_literals(random: Random) -> Change:
    """Other numbers and strings of the same kind."""

    def other(token: Token) -> str:
        match token.kind:
            case "number":
                return random.choice(["7", "0.5", "1e9", "0x1F", "12_345", ".25"])
            case "string":
                return _string(token.text, random.choice(["", "b", "B -- ", '/* "$1 $$ ']))
            case "dollar string":
                return _dollar_string(token.text, random.choice(["", "b", " $ 'it''s' /* $$_$1 "]))
            case _:
                return token.text

    return _tokens(other)


def marked_literals(mark: str, number: str) -> Change:
    """The mark in each string, and the number for each number."""

    def marked(token: Token) -> str:
        match token.kind:
            case "number":
                return number
            case "string":
                return _string(token.text, mark)
            case "dollar string":
                return _dollar_string(token.text, mark)
            case _:
                return token.text

    return _tokens(marked)


def _string(old: str, body: str) -> str:
    """A string with the prefix of the old one, with a quote inside in the way of its kind. Bits have none."""
    prefix = old[: old.index("'")]
    quote = {"e": r"\'", "b": "", "x": ""}.get(prefix.lower(), "''")
    return f"{prefix}'{body}{quote}{body}'"


def _dollar_string(old: str, body: str) -> str:
    delimiter = old[: old.index("$", 1) + 1]
    return f"{delimiter}{body}${body} {delimiter}"


def _gaps(change: Callable[[str], str]) -> Change:
    """Changes what stands between two tokens."""

    def changed(pieces: Pieces) -> Iterator[tuple[str, str]]:
        for number, (gap, token) in enumerate(pieces):
            yield change(gap) if number else gap, token.text

    return changed


def _tokens(change: Callable[[Token], str]) -> Change:
    """Changes tokens. Where a new one would become a part of the name before it, a space comes between them."""

    def changed(pieces: Pieces) -> Iterator[tuple[str, str]]:
        before = START
        for gap, token in pieces:
            new = change(token)
            yield gap or (" " if new != token.text and before.kind in ("name", "parameter") else ""), new
            before = token

    return changed


def _without_optional_spaces(pieces: Pieces) -> Iterator[tuple[str, str]]:
    before = START
    for gap, token in pieces:
        is_optional = [both.text for both in tokens(before.text + token.text)] == [before.text, token.text]
        yield "" if is_optional and not gap.strip(SPACES) else gap, token.text
        before = token


def _with_negative_numbers(pieces: Pieces) -> Iterator[tuple[str, str]]:
    before = START
    for gap, token in pieces:
        # A - or + before the number can be its sign already.
        follows_operator = before.kind == "operator" and before.text not in ("+", "-")
        if token.kind == "number" and (follows_operator or before.text.lower() in SIGN_FOLLOWS):
            yield f"{gap} ", "-"
            yield "", token.text
        else:
            yield gap, token.text
        before = token


def _with_longer_lists(pieces: Pieces) -> Iterator[tuple[str, str]]:
    """One member more in arrays and in lists after IN, one row more after VALUES."""
    read = [token for _, token in pieces]
    for number, (gap, token) in enumerate(pieces):
        yield gap, token.text
        before = read[number - 1].text.lower() if number else ""
        row = (
            _row(read[number + 1 :]) if token.text == "[" or (token.text == "(" and before in ("in", "values")) else []
        )
        if row and before == "values":
            yield from (("", text) for text in [*row, ",", "("])
        elif row:
            yield from [("", row[0]), ("", ",")]


def _row(read: Sequence[Token]) -> list[str]:
    """The first tokens up to the bracket that closes them, if they are literals with commas between them."""
    for number, token in enumerate(read):
        if number % 2 and token.text != ",":
            return [token.text for token in read[: number + 1]] if token.text in (")", "]") else []
        if number % 2 == 0 and token.kind not in LITERALS:
            return []
    return []


def _upper_case(token: Token) -> str:
    # Only ASCII letters: PostgreSQL folds no others.
    return token.text.encode().upper().decode() if token.kind == "name" else token.text


def _in_dollar_quotes(begin: str, end: str | None = None) -> Change:
    def quoted(token: Token) -> str:
        return begin + (end or token.text + begin) if token.kind == "string" else token.text

    return _tokens(quoted)


FORMS: dict[str, Change] = {
    "white space as line end and tab": _gaps(lambda gap: gap if gap.strip(SPACES) else "\n\t"[: 2 * len(gap)]),
    "/* c */ in each gap": _gaps(lambda gap: gap + "/* c */"),
    "nested comment in each gap": _gaps(lambda gap: "/* a /* b */ 'c */" + gap),
    "-- comment and \\n in each gap": _gaps(lambda gap: gap + ' -- it\'s "c"\n'),
    "-- comment and \\r in each gap": _gaps(lambda gap: gap + ' -- it\'s "c" /*\r'),
    "upper case": _tokens(_upper_case),
    "optional spaces removed": _without_optional_spaces,
    "lists longer by one": _with_longer_lists,
    "numbers negative": _with_negative_numbers,
    "strings as $q1$...$q1$": _in_dollar_quotes("$q1$"),
    "strings as $$a $5 b$$": _in_dollar_quotes("$$", "a $5 b$$"),
    "integers as 1_000": _tokens(lambda token: "1_000" if token.text.isdecimal() else token.text),
}
ENDS: dict[str, Callable[[str], str]] = {
    "semicolon at the end": lambda text: f"{text};",
    "line end at the end": lambda text: f"{text}\n",
    "comment at the start": lambda text: f'-- it\'s "c" /*\n{text}',
}
