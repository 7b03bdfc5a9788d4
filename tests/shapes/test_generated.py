"""Random texts: the SQL function returns the shape of the oracle, and only literals and form do not matter to it."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.shapes.conftest import Shapes
from tests.shapes.oracle import shape, shape_words
from tests.shapes.tokens import scanned, tokens

# One statement has many texts, because a round trip takes longer than a shape.
AT_ONCE = 60
WORDS = [
    "a",
    "A1",
    "b$",
    "é2",
    "_",
    "select",
    "Order",
    "IN",
    "values",
    "u",
    "e",
    "in",
    "date",
    "Null",
    "true",
    '"q',
    '"Q" ',
]
NUMBERS = ["1", "0x1F", "0b01", "1_000", "1.5", ".5", "1.", "1e5", "2E-3", "1_", "$1", "$2"]
STRINGS = [
    "'a'",
    "''",
    "'it''s'",
    "E'it\\'s'",
    "b'1'",
    "N'x'",
    "u&'x'",
    "$$ ' $$",
    "$q$ $$ $q$",
    "'",
    "$q$",
    "E'\\",
    "U&",
]
MARKS = [
    *"()[],;.:+-*/<>=~@?&|`\\{$",
    "::",
    ":=",
    "..",
    "->>",
    "<>",
    "--",
    "/*",
    "*/",
    "/* c */",
    "'a'\n'b'",
    "\x01",
    "\x7f",
]
GAPS = ["", "", "", " ", " ", "\n", "\t\v", "/* ' */", "/* /* */ */", "-- '\n", "-- $$ \r"]
IN_LISTS = [
    *"()[]((,,,,1",
    "'a'",
    "$1",
    "null",
    "x in (",
    "values (",
    "1, 2",
    "(1, 2), (",
    "date 'x'",
    "::",
    "int",
    "(1)",
    "(1, 2)",
    "x",
]
UNITS = [
    "..",
    ".",
    ":",
    "::",
    ":=",
    "=",
    "-",
    "+",
    "1",
    "x",
    "(",
    ")",
    "[",
    "]",
    ",",
    ";",
    " ",
    " ",
    '"x"',
    "u&",
    "@",
    "$",
    "in",
    "null",
]


def joined(pieces: list[str], gaps: list[str], longest: int) -> st.SearchStrategy[str]:
    pair = st.tuples(st.sampled_from(pieces), st.sampled_from(gaps)).map("".join)
    return st.lists(pair, max_size=longest).map("".join)


any_text = joined([*WORDS, *NUMBERS, *STRINGS, *MARKS], GAPS, 16)
characters = st.text(alphabet="'\"$-/*\n\r\\ eEuUbX&.0_17aé;:=(),[]+@?\x0b", max_size=24)
lists = joined(IN_LISTS, ["", " "], 24)


def has_more_after_a_number(text: str) -> bool:
    """No statement has 1a, 0b12, 0xE'', $1a or $a, so only test_small_inputs says what becomes of them."""
    return any(
        before.end == token.start
        and (before.kind in ("number", "parameter") or before.text == "$")
        and token.kind in ("name", "number", "string")
        for before, token in pairwise(scanned(text))
    )


def many(texts: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    several = st.lists(texts, min_size=AT_ONCE // 2, max_size=AT_ONCE)
    return several.map(lambda found: [text for text in found if not has_more_after_a_number(text)])


@settings(max_examples=60, deadline=None)
@given(texts=many(any_text | characters | lists))
def test_the_sql_function_returns_the_shape_of_the_oracle(sql_shapes: Shapes, texts: list[str]) -> None:
    found = dict(zip(texts, sql_shapes(texts), strict=True))
    assert found == {text: shape(text) for text in found}


number = st.one_of(
    st.integers(min_value=0).map(str),
    st.integers(min_value=0).map("{:_}".format),
    st.integers(min_value=0).map(hex),
    st.floats(min_value=0, allow_infinity=False, allow_nan=False).map(repr),
)
characters_of_strings = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
string = st.text(characters_of_strings, max_size=20).map(lambda value: "'" + value.replace("'", "''") + "'")


@st.composite
def dollar_string(draw: st.DrawFn) -> str:
    delimiter = draw(st.sampled_from(["$$", "$a$", "$TAG$", "$q1_$", "$é2$", "$🦆$"]))
    body = draw(st.text(characters_of_strings | st.sampled_from("$$$a_'"), max_size=20))
    assume(delimiter not in body)
    return f"{delimiter}{body} {delimiter}"


signed_number = st.tuples(st.sampled_from(["", "-", "+", "- ", "+\n"]), number).map("".join)
literal = string | dollar_string() | number
TEMPLATES = [
    "select * from t where a = {} and b > {} or c between {} and {}",
    "insert into t (a, b) values ({}, {}), ({}, {}) returning {}",
    "select {} || x, f({}, y => {}), arr[{}], {}::text from t limit {} offset {}",
    "select case when x in ({}, {}, {}) then {} else {} end, any(array[{}, {}])",
    "select {}; select {}, date '2026-01-01' + {}, [[{}, {}], [{}]]",
]


@settings(max_examples=100, deadline=None)
@given(template=st.sampled_from(TEMPLATES), data=st.data())
def test_texts_that_differ_only_in_literals_share_a_shape(
    sql_shapes: Shapes, template: str, data: st.DataObject
) -> None:
    count = template.count("{}")
    drawn = data.draw(
        st.lists(st.lists(literal | signed_number, min_size=count, max_size=count), min_size=2, max_size=6)
    )
    texts = [template.format(*literals) for literals in drawn]
    assert set(sql_shapes(texts)) == {shape(template.replace("{}", "1"))}


@settings(max_examples=60, deadline=None)
@given(texts=many(any_text | joined(UNITS, [""], 8)))
def test_a_shape_read_as_a_text_has_the_tokens_that_it_was_made_of(sql_shapes: Shapes, texts: list[str]) -> None:
    """So texts whose tokens differ after folding never share a shape."""
    for text, found in zip(texts, sql_shapes(texts), strict=True):
        made_of = [token.text for word in shape_words(text) for token in tokens(word.text)]
        assert [token.text for token in tokens(found or "")] == made_of
